import type { FactoredOptions } from '../nn/factored.js';
import type {
  ActivationName,
  AdaptiveOptions,
  AdaptiveSoftmaxOptions,
  BiasPlace,
  NormKind,
  NormPlace,
  Parallel,
  PositionOptions,
  QueryKeyNormKind,
  RowPooling,
} from '../nn/index.js';

import type { LoraConfig } from './adapt.js';
import type { HeadConfig } from './head.js';

export const kinds = [
  'decoder',
  'encoder',
  'encoder-decoder',
  'transformer-xl',
  'compressive-transformer',
  'xlnet',
] as const;
export type ModelKind = (typeof kinds)[number];

/** Whether a model sees what comes after a token, too, so that what it predicts has to be hidden from it. */
export const seesBothSides = ({ kind }: { readonly kind: ModelKind }): boolean =>
  kind === 'encoder' || kind === 'encoder-decoder' || kind === 'xlnet';

/** Whether the layers of a model keep a memory of the segments before. */
export const remembers = ({ kind }: { readonly kind: ModelKind }): boolean =>
  kind === 'transformer-xl' || kind === 'compressive-transformer' || kind === 'xlnet';
export const positionNames = ['none', 'sinusoidal', 'learned', 'rope', 'alibi', 't5', 'transformer-xl'] as const;
export const residualKinds = ['plain', 'reversible', 'checkpointed'] as const;
export type ResidualKind = (typeof residualKinds)[number];

/** A whole model: complete, as `readConfig` gives it, and as it is written beside the weights. */
export interface ModelConfig {
  readonly kind: ModelKind;
  /** Number of different tokens. */
  readonly vocabulary: number;
  /** Tokens that are predicted, the first of the vocabulary; those beyond stand for what a text hides. Absent: all. */
  readonly outputs?: number;
  /** Tokens of a training window; of a segment, for models with memory. */
  readonly length: number;
  /** Number of layers. */
  readonly layers: number;
  /** What layers are that are not all alike, again and again until there are enough; see `splitLayers` for the short forms. */
  readonly pattern?: readonly LayerConfig[];
  /** Size of the stream between the layers. */
  readonly width: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  /** Size of the values of a head; absent: `headDim`. */
  readonly valueDim?: number;
  /** Of a layer whose rows or heads have sizes of their own; absent from those that are as the model. */
  readonly sizes?: LayerSizes;
  readonly mechanism: {
    readonly name: string;
    readonly options: Readonly<Record<string, unknown>>;
    /** The file that a mechanism of your own comes from, where `registerMechanism` was given it. */
    readonly plugin?: string;
  };
  /** How tokens see each other where it is not attention by `mechanism`; absent where it is. */
  readonly mixer?: {
    readonly name: string;
    readonly options: Readonly<Record<string, unknown>>;
    /** The file that a mixer of your own comes from, where `registerMixer` was given it. */
    readonly plugin?: string;
  };
  /** Of a layer that makes one row of two, by its queries, or gives rows that were pooled back before it; absent from others. */
  readonly pooling?: PoolingConfig;
  /** How attention makes queries, keys and values of rows; absent where it is by a matrix. */
  readonly projection?: ProjectionConfig;
  /** How attention compares queries with keys, where otherwise than plainly. */
  readonly attention?: ScoringConfig;
  /** Of a layer whose weights are those of a layer before: its number, from 0. All else is as there. */
  readonly as?: number;
  readonly position: PositionOptions;
  /** What tokens are before the first layer; absent: rows of a table, with positions added. */
  readonly embedding?: EmbeddingConfig;
  /** How logits are made of the rows after the last layer; absent: by a table alone. */
  readonly prediction?: PredictionConfig;
  readonly feedForward: {
    /** Default `'dense'`. */
    readonly name: string;
    readonly options: Readonly<Record<string, unknown>>;
    /** The file that a layer of your own comes from, where `registerFeedForward` was given it. */
    readonly plugin?: string;
    readonly hidden: number;
    readonly activation: ActivationName;
    readonly gated: boolean;
    /** Tokens whose hidden activations live at a time; 0: all. */
    readonly chunk: number;
    /** Whether its products have biases; absent: as its papers have them. */
    readonly bias?: boolean;
  };
  readonly norm: {
    readonly kind: NormKind;
    /** See `NormPlace`. */
    readonly place: NormPlace;
    readonly epsilon: number;
    /** Whether a `'layer'` norm adds a bias; absent: true. */
    readonly bias?: boolean;
    /** Whether its parameter is what is added to 1, as in Gemma; absent: false. */
    readonly centred?: boolean;
    /** Whether there is one before the mixing of tokens, as there is none in ModernBERT's first layer; absent: true. */
    readonly mixing?: boolean;
    /** Whether there is one behind the last layer, where the norm comes first; absent: true. */
    readonly final?: boolean;
    /** Whether the norm before the mixing of tokens has weights of its own for the rows of `embedding.prefix`; absent: false. */
    readonly prefix?: boolean;
  };
  readonly residual: {
    readonly kind: ResidualKind;
    /** Layers of a group whose input alone is kept, for `checkpointed`; 0: by the memory limit, else 1. */
    readonly every: number;
    /** Whether both branches of a layer read the stream before it, normalised once or each by itself; absent: one after the other. */
    readonly parallel?: Parallel;
    /** Whether both streams of `reversible` layers come out, side by side, as in the paper; absent: their mean. For all layers alike. */
    readonly joined?: boolean;
  };
  readonly dropout: number;
  /** Whether projections of attention have biases, or which of them alone. */
  readonly bias: boolean | BiasPlace;
  /** Whether logits are taken with the table of embeddings. */
  readonly tied: boolean;
  /** Tokens whose logits live at a time in the loss; 0: all. */
  readonly lossChunk: number;
  /** Of a model that tells classes: how many there are, and what of the text they are read from. */
  readonly head?: HeadConfig;
  /** Adapters that are trained in place of all else; absent: all is. */
  readonly lora?: LoraConfig;
  /** Of models with memory: tokens of the segments before, and those kept compressed. */
  readonly memory: {
    readonly length: number;
    readonly compressed: number;
    readonly ratio: number;
    /** What there is before the first segment; absent: nothing. */
    readonly initial?: 'zeros';
    /** Rows of a segment, its first ones, that the memory takes; absent: all. */
    readonly reuse?: number;
  };
  /** What the decoder of an encoder–decoder is, where it is not as the encoder. */
  readonly decoder?: DecoderConfig;
}

/** Sizes of a layer, such as one of latents that are narrower than the rows they stand for. */
export interface LayerSizes {
  /** Of the rows that it is given: what the layer before gives. */
  readonly from: number;
  /** Of the rows that it gives. */
  readonly width: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly valueDim?: number;
}

/** `project(norm(scale·E[token] + T[type] + P[position]))`, of what is given; E is shared by both halves of an encoder–decoder, all else is not. */
export interface EmbeddingConfig {
  /** Of the tables and the norm; then `width` is made of it by a matrix and a bias. Default: the model's, without a matrix. */
  readonly width?: number;
  /** Of the table's rows; default √width beside sinusoidal positions, else 1. */
  readonly scale?: number;
  /** After the sum, with the model's `norm.epsilon`; default none. */
  readonly norm?: NormKind;
  /** Vectors of rare tokens are shorter; `width` is of the most frequent ones. See `AdaptiveEmbedding`. */
  readonly adaptive?: Omit<AdaptiveOptions, 'width'>;
  /** Whether rows come embedded already, `[B, L, width]` in place of tokens, as those of images do; then no token is predicted. */
  readonly given?: boolean;
  /** Rows that are learned and stand before those of every text through all layers of an encoder, which are left out at the end. */
  readonly prefix?: number;
  /** Number of token types, which batches name as `types`; all tokens of others are of type 0. */
  readonly types?: number;
}

/** `cap(scale·norm(activation(h·W + b))·Eᵀ + bias)`, of what is given; `cap(x) = softcap·tanh(x/softcap)`. */
export interface PredictionConfig {
  /** Activation of a layer that rows pass first, from the model's width to the embedding's; default no such layer. */
  readonly transform?: ActivationName;
  /** Whether that layer has a bias; default true. */
  readonly transformBias?: boolean;
  /** Norm behind it; default the model's. */
  readonly norm?: NormKind | 'none';
  /** Whether each token has a bias; default false. */
  readonly bias?: boolean;
  readonly scale?: number;
  readonly softcap?: number;
  /** Of an adaptive embedding: a softmax by the same clusters; see `AdaptiveSoftmaxOptions.projections`. Absent: none. */
  readonly adaptive?: NonNullable<AdaptiveSoftmaxOptions['projections']>;
}

/** All of a decoder that may differ from its encoder. Both have streams of one width, and one table of embeddings. */
export type DecoderConfig = Omit<
  ModelConfig,
  | 'kind'
  | 'vocabulary'
  | 'outputs'
  | 'width'
  | 'dropout'
  | 'tied'
  | 'embedding'
  | 'prediction'
  | 'lossChunk'
  | 'memory'
  | 'head'
  | 'decoder'
>;

/** What may differ from layer to layer. */
export type LayerConfig = Pick<ModelConfig, (typeof layerSections)[number]>;
export const layerSections = [
  'sizes',
  'mechanism',
  'mixer',
  'pooling',
  'projection',
  'attention',
  'as',
  'position',
  'feedForward',
  'norm',
  'residual',
] as const;

/** `factored`: by few weights, see `FactoredProjection`. */
export type ProjectionConfig = { readonly name: 'dense' } | ({ readonly name: 'factored' } & FactoredOptions);

/** Of attention; see `AttentionOptions`. */
export interface ScoringConfig {
  /** Factor of q·k; absent: 1/√headDim. */
  readonly scale?: number;
  /** Scores s become `softcap · tanh(s / softcap)`. */
  readonly softcap?: number;
  /** What queries and keys are normalised over, by norms of the layer's kind. */
  readonly queryKeyNorm?: QueryKeyNormKind;
  /** Whether each head has a further key of value 0 whose score is learned. */
  readonly sinks?: boolean;
  /** Whether what heads give is times a sigmoid of a further projection of the rows. Not of attention to an encoder. */
  readonly gate?: boolean;
  /** Rows of a block: beside the keys of the mechanism there is one for each whole block of rows; see `TransientGlobals`. Of encoders; 0: none. */
  readonly globals?: number;
  /** Whether it gives zeros at rows of padding (of `lengths`), as Longformer's published code does; absent: numbers without meaning. */
  readonly zeroPadding?: boolean;
}

/** `restore`: before the layer each row stands as often as it stands for tokens, and the stream before the first pooling is added. */
export type PoolingConfig =
  | (RowPooling & {
      /** Whether keys and values are of the pooled rows too, so that the stream is pooled before the layer; absent: they are of all rows. */
      readonly keys?: boolean;
    })
  | { readonly kind: 'restore' };
