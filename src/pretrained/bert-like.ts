import { transposed, type WeightRule } from '../nn/index.js';
import { activationNames, activationOf } from './activations.js';
import type { ClassDefinition, PublishedClass, PublishedMap } from './family.js';
import { count, only, real, word, yes, type Theirs } from './fields.js';
import { apart, linear } from './projections.js';

/** Fields of an encoder with BERT's names. */
export const bertFields = {
  vocab_size: count(30522, 2),
  hidden_size: count(768),
  num_hidden_layers: count(12),
  num_attention_heads: count(12),
  intermediate_size: count(3072),
  hidden_act: word(activationNames, 'gelu'),
  max_position_embeddings: count(512),
  type_vocab_size: count(2),
  layer_norm_eps: real(1e-12),
  position_embedding_type: only(['absolute'], 'positions are rows that are added here'),
} as const;

/** That an encoder is a decoder: its tokens see those before them alone. */
export const causalField = { is_decoder: yes(false) } as const;

export type BertTheirs = Omit<Theirs<typeof bertFields>, 'is_decoder'> & { readonly is_decoder: boolean };

/** What an encoder with BERT's fields is, as JSON; a family's own keys stand beside it. Positions are counted from row `first` on. */
export const bertConfig = (theirs: BertTheirs, first = 0): object => ({
  kind: theirs.is_decoder ? 'decoder' : 'encoder',
  width: theirs.hidden_size,
  heads: theirs.num_attention_heads,
  layers: theirs.num_hidden_layers,
  length: theirs.max_position_embeddings - first,
  vocabulary: theirs.vocab_size,
  bias: true,
  position: { method: 'learned', ...(first > 0 && { first }) },
  embedding: { norm: 'layer', types: theirs.type_vocab_size },
  feedForward: { hidden: theirs.intermediate_size, activation: activationOf(theirs.hidden_act) },
  norm: { kind: 'layer', place: 'post', epsilon: theirs.layer_norm_eps },
});

/** Positions of RoBERTa and its kin: from the row behind the padding token's on, and padding has none. */
export function paddedPositions(theirs: BertTheirs, usual = 1): object {
  const padding = theirs.pad_token_id ?? usual;
  return { position: { method: 'learned', first: padding + 1, padding } };
}

/** Classes of an encoder, their heads by the tensors that only they hold. */
export const encoderClasses = (
  stem: string,
  marks: { readonly masked: string; readonly sequence: string },
): Readonly<Record<string, ClassDefinition>> => ({
  [`${stem}ForMaskedLM`]: { task: 'fill-mask', mark: marks.masked },
  [`${stem}ForQuestionAnswering`]: { task: 'answer', mark: 'qa_outputs.weight' },
  [`${stem}ForSequenceClassification`]: { task: 'classify', mark: marks.sequence },
  [`${stem}ForTokenClassification`]: { task: 'classify-tokens', mark: 'classifier.weight' },
  [`${stem}Model`]: { task: 'base' },
});

export interface HeadStyle {
  /** Activation of the layer before the classes of a text. */
  readonly dense: string;
  /** Whether the base model has a layer behind its first row. */
  readonly pooler?: boolean;
}

/** The head of a class, as JSON. */
export function headConfig(theirs: BertTheirs, cls: PublishedClass, { dense, pooler = true }: HeadStyle): object {
  switch (cls.task) {
    case 'fill-mask':
    case 'generate':
      return {
        tied: theirs.tie_word_embeddings,
        prediction: { transform: activationOf(theirs.hidden_act), bias: true },
      };
    case 'classify':
      return { head: { classes: cls.labels, pool: 'first', dense } };
    case 'classify-tokens':
      return { head: { classes: cls.labels, pool: 'none' } };
    case 'answer':
      return { head: { classes: 2, pool: 'none' } };
    case 'base':
    case 'summarise':
      return pooler ? { head: { pool: 'first', dense: 'tanh' } } : {};
  }
}

/** A layer norm, under its name now or that of TensorFlow's first checkpoints. */
export const norm = (theirs: string, ours: string): readonly WeightRule[] => [
  [`${theirs}.weight`, `${ours}.weight`],
  [`${theirs}.bias`, `${ours}.bias`],
  [`${theirs}.gamma`, `${ours}.weight`],
  [`${theirs}.beta`, `${ours}.bias`],
];

const OURS = 'stack.layers.{i}';

/** Tables of words, positions and types, and the norm of their sum. */
export const embeddingRules = (theirs: string): readonly WeightRule[] => [
  [`${theirs}.word_embeddings.weight`, 'ends.embedding.weight'],
  [`${theirs}.position_embeddings.weight`, 'stack.positions.table'],
  [`${theirs}.token_type_embeddings.weight`, 'ends.entry.types.weight'],
  ...norm(`${theirs}.LayerNorm`, 'ends.entry.norm'),
];

/** What follows attention in a layer: its projection and norm, then the feed-forward layer with its own. */
export const layerRules = (layer: string): readonly WeightRule[] => [
  ...linear(`${layer}.attention.output.dense`, `${OURS}.attention.out`),
  ...norm(`${layer}.attention.output.LayerNorm`, `${OURS}.attentionResidual.norm`),
  ...feedForwardRules(layer),
];

export const feedForwardRules = (layer: string): readonly WeightRule[] => [
  ...linear(`${layer}.intermediate.dense`, `${OURS}.feedForward.up`),
  ...linear(`${layer}.output.dense`, `${OURS}.feedForward.down`),
  ...norm(`${layer}.output.LayerNorm`, `${OURS}.feedForwardResidual.norm`),
];

/** All of a base model with BERT's names. */
export function bertRules(theirs: BertTheirs, { prefix }: PublishedClass): readonly WeightRule[] {
  const layer = `${prefix}encoder.layer.{i}`;
  const heads = theirs.num_attention_heads;
  const sizes = { heads, kvHeads: heads, headDim: theirs.hidden_size / heads };
  return [
    ...embeddingRules(`${prefix}embeddings`),
    ...apart(`${layer}.attention.self`, `${OURS}.attention`, sizes, ['query', 'key', 'value']),
    ...layerRules(layer),
  ];
}

/** Where a head keeps its parts. */
export interface HeadNames {
  /** The layer before logits, its norm, and the bias of tokens. */
  readonly transform: string;
  readonly transformNorm: string;
  readonly bias: string;
  readonly decoder: string;
  /** The layer behind the first row of a base model; absent where there is none. */
  readonly pooler?: string;
  /** All of a head for masked tokens; what stands beside it in files of pretraining. */
  readonly masked: readonly string[];
  readonly beside?: readonly string[];
  /** The layer before the classes of a text, and the classes. */
  readonly dense: string;
  readonly classes: string;
}

/** Names of BERT's heads; the pooler of a base model is its layer before classes, too. */
export const bertHeads = ({ prefix }: PublishedClass): HeadNames => ({
  transform: 'cls.predictions.transform.dense',
  transformNorm: 'cls.predictions.transform.LayerNorm',
  bias: 'cls.predictions.bias',
  decoder: 'cls.predictions.decoder',
  masked: ['cls.predictions.{*}', 'cls.seq_relationship.{*}'],
  beside: ['cls.seq_relationship.{*}'],
  pooler: `${prefix}pooler.dense`,
  dense: `${prefix}pooler.dense`,
  classes: 'classifier',
});

/** Names of RoBERTa's heads, with a layer of its own before classes. */
export const robertaHeads = ({ prefix }: PublishedClass): HeadNames => ({
  transform: 'lm_head.dense',
  transformNorm: 'lm_head.layer_norm',
  bias: 'lm_head.bias',
  decoder: 'lm_head.decoder',
  masked: ['lm_head.{*}'],
  pooler: `${prefix}pooler.dense`,
  dense: 'classifier.dense',
  classes: 'classifier.out_proj',
});

/** The rules of a head, and the parts of other heads that a file may hold beside it. */
export function headMap(theirs: BertTheirs, cls: PublishedClass, names: HeadNames): PublishedMap {
  const { prefix, task } = cls;
  const { masked, beside = [] } = names;
  const pooler = names.pooler === undefined ? [] : [`${names.pooler}.{*}`];
  const unused = [...pooler, ...beside];
  const ignored = [`${prefix}embeddings.position_ids`, `${prefix}embeddings.token_type_ids`];
  switch (task) {
    case 'fill-mask':
    case 'generate': {
      const tied = theirs.tie_word_embeddings;
      return {
        rules: [
          ...linear(names.transform, 'ends.transform.dense'),
          ...norm(names.transformNorm, 'ends.transform.norm'),
          [names.bias, 'ends.bias'],
          ...(tied ? [] : [[`${names.decoder}.weight`, 'ends.head.weight', transposed] as const]),
        ],
        ties: {
          ...(names.bias !== `${names.decoder}.bias` && { [`${names.decoder}.bias`]: names.bias }),
          ...(tied && { [`${names.decoder}.weight`]: `${prefix}embeddings.word_embeddings.weight` }),
        },
        unused,
        ignored,
      };
    }
    case 'classify':
      return {
        rules: [...linear(names.dense, 'dense.dense'), ...linear(names.classes, 'head')],
        unused: names.dense === names.pooler ? masked : [...pooler, ...masked],
        ignored,
      };
    case 'classify-tokens':
      return { rules: linear('classifier', 'head'), unused: [...pooler, ...masked], ignored };
    case 'answer':
      return { rules: linear('qa_outputs', 'head'), unused: [...pooler, ...masked], ignored };
    case 'base':
    case 'summarise':
      return { rules: names.pooler === undefined ? [] : linear(names.pooler, 'dense.dense'), unused: masked, ignored };
  }
}

/** The map of a family: its base model and its head. */
export const joinedMap = (base: readonly WeightRule[], head: PublishedMap): PublishedMap => ({
  ...head,
  rules: [...base, ...head.rules],
});
