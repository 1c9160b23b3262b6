import type { Exactness } from '../attention/index.js';
import type { ModelConfig } from '../models/index.js';
import type { Machine } from './machine.js';

/** What a swap costs. */
export interface SwapCost {
  /** Of bytes that are predicted: all, or those that are hidden from an encoder. */
  readonly bitsPerByte: number;
  /** Bits per byte above those of the trained attention on the same windows. */
  readonly change: number;
  /** Standard error of the change over the windows, taken for independent; null of a single one. */
  readonly changeError: number | null;
  /** Share of hidden bytes that are found; null of a causal model. */
  readonly accuracy: number | null;
}

/** One mechanism in the trained model, at one length. */
export interface SwapRow extends SwapCost {
  /** The mechanism with its given options, such as `sliding-window:radius=64`. */
  readonly name: string;
  readonly mechanism: string;
  readonly family: string;
  readonly exactness: Exactness;
  readonly summary: string;
  /** Whether it is what the model was trained with. */
  readonly trained: boolean;
  readonly length: number;
  /** The same after steps of adaptation, against the trained attention after as many; null without. */
  readonly adapted: SwapCost | null;
  /** `2 ** bitsPerByte`. */
  readonly perplexityPerByte: number;
  /** Whole model, forward. */
  readonly tokensPerSecond: number;
  readonly windows: number;
  readonly tokens: number;
  /** Parameters that the mechanism brought, drawn from the seed, and those of the model that it has no use for. */
  readonly drawn: readonly string[];
  readonly unused: readonly string[];
}

/** A mechanism that cannot be swapped in, at any length (null) or at one. */
export interface Refusal {
  readonly name: string;
  readonly length: number | null;
  readonly why: string;
}

export interface SwapComparison {
  readonly config: ModelConfig;
  /** Whether the bytes that are predicted are hidden ones among others, as an encoder's are, in place of the next. */
  readonly masked: boolean;
  readonly parameters: number;
  readonly bytesPerToken: number;
  readonly textBytes: number;
  readonly seed: number;
  /** Of adaptation; null: none was asked for. */
  readonly adaptedSteps: number | null;
  readonly lengths: readonly number[];
  /** By rising length, the best first. */
  readonly rows: readonly SwapRow[];
  readonly refused: readonly Refusal[];
  readonly machine: Machine;
}
