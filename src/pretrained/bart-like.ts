import { reshaped, type WeightRule } from '../nn/index.js';
import { activationNames, activationOf } from './activations.js';
import type { PublishedClass, PublishedMap } from './family.js';
import { count, only, word, yes, type Theirs } from './fields.js';
import { crossRules } from './pairs.js';
import { apart, linear } from './projections.js';

/** Fields of an encoder–decoder with BART's names. */
export const bartFields = {
  is_encoder_decoder: only([true], 'it is both'),
  vocab_size: count(50265, 2),
  d_model: count(1024),
  encoder_layers: count(12),
  decoder_layers: count(12),
  encoder_attention_heads: count(16),
  decoder_attention_heads: count(16),
  encoder_ffn_dim: count(4096),
  decoder_ffn_dim: count(4096),
  activation_function: word(activationNames, 'gelu'),
  max_position_embeddings: count(1024),
  scale_embedding: yes(false),
  // another name of encoder_layers
  num_hidden_layers: count(null as number | null),
} as const;

export type BartTheirs = Theirs<typeof bartFields>;

/** The published code has no field for it. */
const EPSILON = 1e-5;

export interface BartPlan {
  /** Where norms stand; `'post'` as in BART, `'pre'` as in Pegasus. */
  readonly place: 'pre' | 'post';
  /** Whether embeddings have a norm. */
  readonly embedded: boolean;
  /** Whether each token has a bias in its logits; default true. */
  readonly biased?: boolean;
  /** Sections of the encoder alone, as JSON: its mechanism, its layers. */
  readonly encoder: object;
  /** Sections of the decoder alone. */
  readonly decoder?: object;
}

const isTied = ({ tie_word_embeddings: tied }: BartTheirs, { task }: PublishedClass): boolean =>
  tied || task === 'base';

/** What a model with BART's fields is, as JSON; a family's own keys stand beside it. */
export const bartConfig = (theirs: BartTheirs, cls: PublishedClass, plan: BartPlan): object => ({
  kind: 'encoder-decoder',
  vocabulary: theirs.vocab_size,
  length: theirs.max_position_embeddings,
  layers: theirs.encoder_layers,
  width: theirs.d_model,
  heads: theirs.encoder_attention_heads,
  tied: isTied(theirs, cls),
  bias: true,
  position: 'learned',
  embedding: {
    ...(plan.embedded && { norm: 'layer' }),
    scale: theirs.scale_embedding ? Math.sqrt(theirs.d_model) : 1,
  },
  ...(cls.task !== 'base' && plan.biased !== false && { prediction: { bias: true } }),
  feedForward: { hidden: theirs.encoder_ffn_dim, activation: activationOf(theirs.activation_function) },
  norm: { kind: 'layer', place: plan.place, epsilon: EPSILON },
  ...plan.encoder,
  decoder: {
    mechanism: 'flash',
    layers: theirs.decoder_layers,
    heads: theirs.decoder_attention_heads,
    feedForward: { hidden: theirs.decoder_ffn_dim },
    ...plan.decoder,
  },
});

/** What a family of BART's kin names otherwise; `{i}` is the layer's number. */
export interface BartNames {
  /** Attention of the encoder, behind `encoder.layers.{i}.`; default `self_attn`, with `q_proj` and its like. */
  readonly encoderAttention?: (theirs: string, ours: string) => readonly WeightRule[];
  /** Default `encoder_attn`. */
  readonly cross?: string;
  /** Of the norm before or after feed-forward layers; default `final_layer_norm`. */
  readonly feedForwardNorm?: string;
  /** Of the norm of each half, `decoder.…` too: behind the embeddings, or behind the layers; by our names behind `encoder.` or in `ends`. */
  readonly norms: (half: 'encoder' | 'decoder') => readonly WeightRule[];
  /** Default `fc1` and `fc2` of the layer. */
  readonly feedForward?: (layer: string, ours: string) => readonly WeightRule[];
  /** Whether each token has a bias in its logits; default true. */
  readonly biased?: boolean;
  /** Whether positions are a table; default true. */
  readonly positions?: boolean;
}

const projections = ['q_proj', 'k_proj', 'v_proj'] as const;

/** Between BART's names and ours. */
export function bartMap(theirs: BartTheirs, cls: PublishedClass, names: BartNames): PublishedMap {
  const { prefix } = cls;
  const { d_model: width, vocab_size: vocabulary } = theirs;
  const {
    cross = 'encoder_attn',
    feedForwardNorm = 'final_layer_norm',
    norms,
    positions = true,
    biased = true,
  } = names;
  const {
    feedForward = (layer, own) => [
      ...linear(`${layer}.fc1`, `${own}.feedForward.up`),
      ...linear(`${layer}.fc2`, `${own}.feedForward.down`),
    ],
  } = names;
  const sizes = (heads: number) => ({ heads, kvHeads: heads, headDim: width / heads });
  const usual = (heads: number) => (layer: string, own: string) => [
    ...apart(`${layer}.self_attn`, own, sizes(heads), projections),
    ...linear(`${layer}.self_attn.out_proj`, `${own}.out`),
  ];
  const of = (half: 'encoder' | 'decoder'): readonly WeightRule[] => {
    const [layer, own] = [`${prefix}${half}.layers.{i}`, `${half}.layers.{i}`];
    const ofEncoder = half === 'encoder';
    const { encoderAttention = usual(theirs.encoder_attention_heads) } = names;
    const attention = ofEncoder ? encoderAttention : usual(theirs.decoder_attention_heads);
    return [
      ...(positions ? [[`${prefix}${half}.embed_positions.weight`, `${half}.positions.table`] as const] : []),
      ...norms(half),
      ...attention(layer, `${own}.attention`),
      [`${layer}.self_attn_layer_norm.{*}`, `${own}.attentionResidual.norm.{*}`],
      ...(ofEncoder
        ? []
        : [
            ...crossRules(`${layer}.${cross}`, `${own}.cross`, sizes(theirs.decoder_attention_heads), [
              ...projections,
              'out_proj',
            ]),
            [`${layer}.${cross}_layer_norm.{*}`, `${own}.crossResidual.norm.{*}`] as const,
          ]),
      ...feedForward(layer, own),
      [`${layer}.${feedForwardNorm}.{*}`, `${own}.feedForwardResidual.norm.{*}`],
    ];
  };
  const table = `${prefix}shared.weight`;
  const headed = cls.task !== 'base';
  const tied = isTied(theirs, cls);
  const copies = ['encoder.embed_tokens.weight', 'decoder.embed_tokens.weight'].map((name) => prefix + name);
  return {
    rules: [
      [table, 'ends.embedding.weight'],
      ...of('encoder'),
      ...of('decoder'),
      ...(headed && biased
        ? [['final_logits_bias', 'ends.bias', reshaped([1, vocabulary], [vocabulary])] as const]
        : []),
      ...(headed && !tied ? linear('lm_head', 'ends.head').slice(0, 1) : []),
    ],
    ties: Object.fromEntries([...copies, ...(headed && tied ? ['lm_head.weight'] : [])].map((name) => [name, table])),
    unused: headed ? [] : ['lm_head.weight', 'final_logits_bias'],
  };
}

/** Of norms that stand behind the embeddings of each half. */
export const embeddedNorms =
  (prefix: string): BartNames['norms'] =>
  (half) => [
    [`${prefix}${half}.layernorm_embedding.{*}`, `ends.${half === 'encoder' ? 'entry' : 'decoderEntry'}.norm.{*}`],
  ];

/** Of norms that stand behind the layers of each half, by their name. */
export const finalNorms =
  (prefix: string, name: string): BartNames['norms'] =>
  (half) => [[`${prefix}${half}.${name}.{*}`, `${half}.norm.{*}`]];

/** Classes of such a family. */
export const bartClasses = (stem: string) =>
  ({
    [`${stem}ForConditionalGeneration`]: { task: 'summarise', mark: 'final_logits_bias' },
    [`${stem}Model`]: { task: 'base' },
  }) as const;
