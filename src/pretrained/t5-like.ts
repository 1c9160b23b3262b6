import type { WeightRule } from '../nn/index.js';
import { activationNames, activationOf } from './activations.js';
import {
  defineFamily,
  type ClassDefinition,
  type Family,
  type FamilyDefinition,
  type PublishedClass,
} from './family.js';
import { count, field, only, real, word, yes, type Fields, type Theirs } from './fields.js';
import { crossRules, type StackNames } from './pairs.js';
import { apart, linear } from './projections.js';

/** Fields of a model with T5's names. */
export const t5Fields = {
  is_encoder_decoder: only([true, false], 'it is one or the other'),
  vocab_size: count(32128, 2),
  d_model: count(512),
  d_kv: count(64),
  d_ff: count(2048),
  num_layers: count(6),
  num_decoder_layers: count(null as number | null),
  num_heads: count(8),
  relative_attention_num_buckets: count(32, 2),
  relative_attention_max_distance: count(128, 2),
  layer_norm_epsilon: real(1e-6),
  feed_forward_proj: word(
    [...activationNames, ...activationNames.map((name) => `gated-${name}` as const)],
    'relu' as const,
  ),
  dense_act_fn: field(word([...activationNames], 'relu').requirement, null as (typeof activationNames)[number] | null),
  is_gated_act: field(yes(false).requirement, null as boolean | null),
  // of the first code: places of a model that has no table of them
  n_positions: count(512),
  output_past: yes(true),
} as const;

export type T5Theirs = Theirs<typeof t5Fields>;

/** Whether the class has an encoder alone. */
export const encoderAlone = ({ name }: PublishedClass): boolean => name.endsWith('EncoderModel');

const isGated = ({ feed_forward_proj: published, is_gated_act: own }: T5Theirs): boolean =>
  own ?? published.startsWith('gated-');

/** The feed-forward layers as JSON. */
export function feedForwardOf(theirs: T5Theirs): object {
  const { feed_forward_proj: published, dense_act_fn: own } = theirs;
  const name = published.replace('gated-', '') as (typeof activationNames)[number];
  // "gated-gelu" has always meant the one with tanh (Raffel et al., T5 1.1)
  const usual = published === 'gated-gelu' ? 'gelu_new' : name;
  return {
    hidden: theirs.d_ff,
    activation: activationOf(own ?? usual),
    gated: isGated(theirs),
    bias: false,
  };
}

/** What a model with T5's fields is, as JSON; scores have no scale, and tied logits are of rows times 1/√d. */
export function t5Config(theirs: T5Theirs, cls: PublishedClass): object {
  const { d_model: width, num_layers: layers, tie_word_embeddings: tied } = theirs;
  const alone = encoderAlone(cls);
  return {
    kind: alone ? 'encoder' : 'encoder-decoder',
    vocabulary: theirs.vocab_size,
    length: theirs.n_positions,
    layers,
    width,
    heads: theirs.num_heads,
    headDim: theirs.d_kv,
    tied: tied || cls.task === 'base',
    attention: { scale: 1 },
    position: {
      method: 't5',
      buckets: theirs.relative_attention_num_buckets,
      maxDistance: theirs.relative_attention_max_distance,
    },
    feedForward: feedForwardOf(theirs),
    norm: { kind: 'rms', epsilon: theirs.layer_norm_epsilon },
    ...(tied && cls.task !== 'base' && { prediction: { scale: 1 / Math.sqrt(width) } }),
    ...(!alone && { decoder: { layers: theirs.num_decoder_layers ?? layers } }),
  };
}

/** How a family of T5's kin names what differs. */
export interface T5Names {
  /** Attention of the encoder; default `SelfAttention`. */
  readonly encoderAttention?: string;
  /** Rules of feed-forward layers, named by `layer` with its number as `{i}`; default `DenseReluDense`. */
  readonly feedForward?: (layer: string, ours: string) => readonly WeightRule[];
  /** Rules beside all others. */
  readonly more?: readonly WeightRule[];
}

export const denseRules = (layer: string, ours: string, gated: boolean): readonly WeightRule[] =>
  Object.entries({ ...(gated ? { wi_0: 'gate', wi_1: 'up' } : { wi: 'up' }), wo: 'down' }).flatMap(([theirs, own]) =>
    linear(`${layer}.${theirs}`, `${ours}.feedForward.${own}`),
  );

/** Between T5's names and ours. */
export function t5Map(theirs: T5Theirs, cls: PublishedClass, names: T5Names = {}): ReturnType<Family['map']> {
  const { num_heads: heads, d_kv: headDim, tie_word_embeddings: tied } = theirs;
  const { encoderAttention = 'SelfAttention', more = [] } = names;
  const { feedForward = (layer, ours) => denseRules(`${layer}.DenseReluDense`, ours, isGated(theirs)) } = names;
  const sizes = { heads, kvHeads: heads, headDim };
  const of = ({ theirs: stack, ours }: StackNames, attention: string, cross: boolean): readonly WeightRule[] => {
    const [layer, own] = [`${stack}.block.{i}.layer`, `${ours}.layers.{i}`];
    const fed = cross ? 2 : 1;
    return [
      [`${stack}.block.0.layer.0.${attention}.relative_attention_bias.weight`, `${ours}.positions.table`],
      ...apart(`${layer}.0.${attention}`, `${own}.attention`, sizes, ['q', 'k', 'v']),
      ...linear(`${layer}.0.${attention}.o`, `${own}.attention.out`),
      [`${layer}.0.layer_norm.weight`, `${own}.attentionResidual.norm.weight`],
      ...(cross
        ? [
            ...crossRules(`${layer}.1.EncDecAttention`, `${own}.cross`, sizes, ['q', 'k', 'v', 'o']),
            [`${layer}.1.layer_norm.weight`, `${own}.crossResidual.norm.weight`] as const,
          ]
        : []),
      ...feedForward(`${layer}.${fed}`, own),
      [`${layer}.${fed}.layer_norm.weight`, `${own}.feedForwardResidual.norm.weight`],
      [`${stack}.final_layer_norm.weight`, `${ours}.norm.weight`],
    ];
  };
  const alone = encoderAlone(cls);
  const table = 'shared.weight';
  const ties = ['encoder.embed_tokens.weight', ...(alone ? [] : ['decoder.embed_tokens.weight'])];
  const headed = !alone && cls.task !== 'base';
  return {
    rules: [
      [table, 'ends.embedding.weight'],
      ...more,
      ...of({ theirs: 'encoder', ours: alone ? 'stack' : 'encoder' }, encoderAttention, false),
      ...(alone ? [] : of({ theirs: 'decoder', ours: 'decoder' }, 'SelfAttention', true)),
      ...(headed && !tied ? linear('lm_head', 'ends.head').slice(0, 1) : []),
    ],
    ties: Object.fromEntries([...ties, ...(headed && tied ? ['lm_head.weight'] : [])].map((name) => [name, table])),
    // of files made before 2020
    ignored: ['decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight'],
    unused: [...(alone ? ['decoder.{*}'] : []), ...(headed ? [] : ['lm_head.weight'])],
  };
}

/** What a family with T5's fields and names says beside them. */
export interface T5Like<F extends Fields> {
  readonly modelType: string | readonly string[];
  readonly title: string;
  readonly paper: FamilyDefinition<F>['paper'];
  /** What its classes begin with: `T5`. */
  readonly stem: string | readonly string[];
  readonly fields: F;
  /** JSON beside that of `t5Config`, in its place where both have a key. */
  readonly config?: (theirs: Theirs<typeof t5Fields & F>, cls: PublishedClass) => object;
  readonly names?: (theirs: Theirs<typeof t5Fields & F>, cls: PublishedClass) => T5Names;
  readonly inputs?: FamilyDefinition<F>['inputs'];
  readonly run?: FamilyDefinition<typeof t5Fields & F>['run'];
}

const classesOf = (stem: string): Readonly<Record<string, ClassDefinition>> => ({
  [`${stem}ForConditionalGeneration`]: { task: 'summarise', mark: 'lm_head.weight' },
  [`${stem}Model`]: { task: 'base', mark: 'decoder.final_layer_norm.weight' },
  [`${stem}EncoderModel`]: { task: 'base' },
});

export function t5Like<const F extends Fields>(definition: T5Like<F>): Family {
  const { modelType, title, paper, stem, fields, config, names, inputs, run } = definition;
  type All = Theirs<typeof t5Fields & F>;
  return defineFamily({
    modelType,
    title,
    paper,
    classes: Object.assign({}, ...[stem].flat().map(classesOf)) as Readonly<Record<string, ClassDefinition>>,
    fields: { ...t5Fields, ...fields },
    config: (theirs, cls) => ({
      ...t5Config(theirs as unknown as T5Theirs, cls),
      ...config?.(theirs as unknown as All, cls),
    }),
    map: (theirs, cls) => t5Map(theirs as unknown as T5Theirs, cls, names?.(theirs as unknown as All, cls)),
    ...(inputs && { inputs }),
    ...(run && { run: run }),
  });
}
