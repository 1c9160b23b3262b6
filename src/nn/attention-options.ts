import type { Initialiser, Mechanism } from '../attention/index.js';
import { callable, finite, flag, having, made, oneOf, plainObject, positive, wholeFrom } from '../core/requirements.js';
import type { FactoredOptions } from './factored.js';
import { Positions } from './positions.js';
import type { QueryKeyNormOptions } from './query-key-norm.js';
import type { RowPooling } from './row-pooling.js';
import type { TransientGlobalsOptions } from './transient-globals.js';

export interface AttentionOptions {
  /** H, query heads. */
  readonly heads: number;
  /** G, heads of keys and values, which divide the query heads; default as many. */
  readonly kvHeads?: number;
  /** D, size of a head; default features / heads. */
  readonly headDim?: number;
  /** E, size of the values of a head; default D. */
  readonly valueDim?: number;
  readonly causal: boolean;
  readonly mechanism: Mechanism;
  /** Options of the mechanism; defaults that depend on the length are those of `length`. */
  readonly settings?: Readonly<Record<string, unknown>>;
  /** Tokens it is made for. */
  readonly length: number;
  /** Shared by the layers of a stack; default none. */
  readonly positions?: Positions | undefined;
  /** Keys and values of other rows than the queries', so projected apart: an encoder's output, or a memory. Default false. */
  readonly separate?: boolean;
  /** Makes one query of two rows, so that half as many rows come out; keys and values are of all. Default none. */
  readonly pooling?: RowPooling;
  /** Makes queries, keys and values by few weights (`FactoredProjection`), for as many of each as features; default by a matrix. */
  readonly projection?: FactoredOptions;
  /** Whether the projections have biases, or which of them alone; default false. */
  readonly bias?: boolean | BiasPlace;
  /** Factor of q·k; default 1/√headDim. */
  readonly scale?: number | undefined;
  /** Scores s become `softcap · tanh(s / softcap)` (Gemma 2, arXiv 2408.00118), before positions change them; default none. */
  readonly softcap?: number | undefined;
  /** Default none. */
  readonly queryKeyNorm?: QueryKeyNormOptions | undefined;
  /** Whether each head has a further key of value 0 whose score is learned; default false. */
  readonly sinks?: boolean | undefined;
  /** Whether what heads give is times a sigmoid of a further projection of the rows, before the output projection (Qiu et al. 2025, arXiv 2505.06708); default false. */
  readonly gate?: boolean | undefined;
  /** Keys beside those of the mechanism that stand for blocks of rows; default none. */
  readonly globals?: TransientGlobalsOptions | undefined;
  /** Whether heads give zeros at rows of padding (of `lengths`), where a sequence attends to itself; default: numbers without meaning. */
  readonly zeroPadding?: boolean | undefined;
  /** Of the output projection; default that of `Linear`. */
  readonly outInit?: Initialiser;
}

/** Queries, keys and values; the output; or all but the queries, which are then projected apart. */
export const biasPlaces = ['qkv', 'out', 'kv-out'] as const;
export type BiasPlace = (typeof biasPlaces)[number];

const extent = wholeFrom(1);
/** What each of them must be. */
export const attentionOptions = {
  heads: extent,
  kvHeads: extent,
  headDim: extent,
  valueDim: extent,
  causal: flag,
  // by what it does: the class would bring all of decoding with it
  mechanism: having('a mechanism, as defineAttention returns', 'settle', 'run', 'decoder'),
  settings: plainObject,
  length: extent,
  positions: made('Positions', Positions),
  separate: flag,
  pooling: plainObject,
  projection: plainObject,
  bias: oneOf([true, false, ...biasPlaces]),
  scale: finite,
  softcap: positive,
  queryKeyNorm: plainObject,
  sinks: flag,
  gate: flag,
  globals: plainObject,
  zeroPadding: flag,
  outInit: callable,
};
