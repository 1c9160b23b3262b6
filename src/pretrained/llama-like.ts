import { listOf, oneOf } from '../core/requirements.js';
import type { WeightRule } from '../nn/index.js';
import { activationNames, activationOf } from './activations.js';
import { defineFamily, type Family, type FamilyDefinition, type PublishedClass, type PublishedMap } from './family.js';
import { classesOf, headOf, headRules } from './decoder-heads.js';
import { count, field, only, real, word, yes, type Fields, type Theirs } from './fields.js';
import { apart, linear, type Heads } from './projections.js';
import { ropeFields, ropeOf, type RopeUsual } from './rotary.js';
import { layersAs, layerTypes, seen, type LayerType } from './windows.js';

/** Fields of a decoder with Llama's names. */
export const llamaFields = {
  ...ropeFields,
  vocab_size: count(32000, 2),
  hidden_size: count(4096),
  intermediate_size: count(11008),
  num_hidden_layers: count(32),
  num_attention_heads: count(32),
  num_key_value_heads: count(null),
  head_dim: count(null),
  hidden_act: word(activationNames, 'silu'),
  rms_norm_eps: real(1e-6),
  tie_word_embeddings: yes(false),
} as const;

/** Fields of layers some of which see a window alone. */
export const windowFields = {
  sliding_window: count(null as number | null, 0),
  layer_types: field<readonly LayerType[] | null>(listOf('kinds of attention', oneOf(layerTypes)), null),
} as const;

export const noBias = only([false], 'its projections have no biases here');

export type LlamaTheirs = Theirs<typeof llamaFields>;

export const headsOf = (theirs: LlamaTheirs): Heads => ({
  heads: theirs.num_attention_heads,
  kvHeads: theirs.num_key_value_heads ?? theirs.num_attention_heads,
  headDim: theirs.head_dim ?? theirs.hidden_size / theirs.num_attention_heads,
});

/** A gated layer, as JSON. */
export const gatedOf = (theirs: Pick<LlamaTheirs, 'intermediate_size' | 'hidden_act'>): object => ({
  hidden: theirs.intermediate_size,
  activation: activationOf(theirs.hidden_act),
  gated: true,
});

/** What a decoder with Llama's fields is, as JSON; a family's own keys stand beside it. */
export const llamaConfig = (
  theirs: LlamaTheirs,
  cls: PublishedClass,
  usual: Pick<RopeUsual, 'base' | 'rotary'> = {},
): object => {
  const { heads, kvHeads, headDim } = headsOf(theirs);
  return {
    kind: 'decoder',
    vocabulary: theirs.vocab_size,
    length: theirs.max_position_embeddings,
    layers: theirs.num_hidden_layers,
    width: theirs.hidden_size,
    heads,
    kvHeads,
    headDim,
    ...headOf(theirs, cls),
    position: ropeOf(theirs, { headDim, ...usual }),
    feedForward: gatedOf(theirs),
    norm: { kind: 'rms', epsilon: theirs.rms_norm_eps },
  };
};

/** Each layer by its kind, as JSON. */
export function layersByType(
  types: readonly LayerType[],
  window: number | null,
  more: (type: LayerType, index: number) => object = () => ({}),
): object {
  return layersAs(
    types.map((type, i) => ({ ...seen(type === 'sliding_attention' ? window : null), ...more(type, i) })),
  );
}

/** Where our norms stand, by their names behind `model.layers.{i}.`. */
export type NormNames = Readonly<Record<string, string>>;
export const preNorms: NormNames = {
  input_layernorm: 'attentionResidual.norm',
  post_attention_layernorm: 'feedForwardResidual.norm',
};

export const ours = 'stack.layers.{i}';

/** Rules of gated layers without experts. */
export const gatedRules = (layer: string): readonly WeightRule[] =>
  ['gate', 'up', 'down'].flatMap((name) => linear(`${layer}.mlp.${name}_proj`, `${ours}.feedForward.${name}`));

export interface LlamaMapOptions {
  readonly norms?: NormNames;
  /** Default `apart`. */
  readonly qkv?: (layer: string) => readonly WeightRule[];
  /** Default `gatedRules`. */
  readonly feedForward?: (layer: string) => readonly WeightRule[];
  /** Of what else a layer has. */
  readonly more?: (layer: string) => readonly WeightRule[];
  readonly unused?: readonly string[];
}

/** Between Llama's names and ours. */
export function llamaMap(theirs: LlamaTheirs, cls: PublishedClass, options: LlamaMapOptions = {}): PublishedMap {
  const { prefix } = cls;
  const layer = `${prefix}layers.{i}`;
  const attention = `${layer}.self_attn`;
  const { norms = preNorms, feedForward = gatedRules, more, unused = [] } = options;
  const { qkv = (): readonly WeightRule[] => apart(attention, `${ours}.attention`, headsOf(theirs)) } = options;
  const table = `${prefix}embed_tokens.weight`;
  const head = headRules(theirs, cls, { table });
  const rules: readonly WeightRule[] = [
    [table, 'ends.embedding.weight'],
    ...Object.entries(norms).map(([name, to]): WeightRule => [`${layer}.${name}.weight`, `${ours}.${to}.weight`]),
    ...qkv(attention),
    ...linear(`${attention}.o_proj`, `${ours}.attention.out`),
    [`${attention}.q_norm.weight`, `${ours}.attention.queryKeyNorm.query.weight`],
    [`${attention}.k_norm.weight`, `${ours}.attention.queryKeyNorm.key.weight`],
    ...feedForward(layer),
    ...(more?.(layer) ?? []),
    [`${prefix}norm.weight`, 'stack.norm.weight'],
    ...head.rules,
  ];
  return {
    rules,
    ties: head.ties,
    // of older files
    ignored: [`${attention}.rotary_emb.inv_freq`],
    unused,
  };
}

/** What a family with Llama's fields and names says beside them. */
export interface LlamaLike<F extends Fields> {
  readonly modelType: string;
  readonly title: string;
  readonly paper: FamilyDefinition<F>['paper'];
  /** What its classes begin with: `Llama`. */
  readonly stem: string;
  readonly fields: F;
  /** JSON beside that of `llamaConfig`, in its place where both have a key. */
  readonly config: (theirs: Theirs<typeof llamaFields & F>) => object;
  /** Of rotary positions, where the configuration says none; default 10000. */
  readonly base?: number;
  /** Share of the components that turn, where it says none; default 1. */
  readonly rotary?: number;
  readonly map?: (theirs: Theirs<typeof llamaFields & F>) => LlamaMapOptions;
  readonly run?: FamilyDefinition<typeof llamaFields & F>['run'];
  readonly notes?: FamilyDefinition<typeof llamaFields & F>['notes'];
}

export function llamaLike<const F extends Fields>(definition: LlamaLike<F>): Family {
  const { modelType, title, paper, stem, fields, config, base, rotary, map, run, notes } = definition;
  return defineFamily({
    modelType,
    title,
    paper,
    classes: classesOf(stem),
    prefix: 'model.',
    fields: { ...llamaFields, ...fields },
    config: (theirs, cls) => {
      const own = theirs as unknown as Theirs<typeof llamaFields & F>;
      return {
        ...llamaConfig(theirs as unknown as LlamaTheirs, cls, {
          ...(base !== undefined && { base }),
          ...(rotary !== undefined && { rotary }),
        }),
        ...config(own),
      };
    },
    map: (theirs, cls) =>
      llamaMap(theirs as unknown as LlamaTheirs, cls, map?.(theirs as unknown as Theirs<typeof llamaFields & F>)),
    ...(run && { run: run }),
    ...(notes && { notes: notes }),
  });
}
