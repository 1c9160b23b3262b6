import type { CacheKind } from '../attention/index.js';
import type { FloatDtype } from '../core/dtype.js';
import { anything, int32From } from '../core/requirements.js';
import type { Tensor } from '../tensor/index.js';
import type { SessionState } from './session-state.js';

export interface SessionOptions {
  /** Tokens of a text at most. */
  readonly maxLength: number;
  /** Texts; default 1. */
  readonly rows?: number;
  /** What is kept of the tokens so far; see `DecoderOptions`. Not for mechanisms with a state of fixed size. */
  readonly cache?: CacheKind;
  readonly window?: number;
  readonly sinks?: number;
  /** How keys and values are kept; `'f16'` and `'bf16'` take half the memory. Default `'f32'`. */
  readonly cacheDtype?: FloatDtype;
  /** Of an encoder–decoder: the tokens of what each row's text follows. They are encoded when the session is opened. */
  readonly sources?: readonly ArrayLike<number>[];
  /** Positions of global tokens in each source, for an encoder whose mechanism has such; default those of its options. */
  readonly sourceGlobals?: readonly (readonly number[])[];
}

/** As many as a tensor has. */
export const someRows = int32From(1);
/** What options must be; a decoder checks those of its cache. */
export const sessionOptions = {
  maxLength: anything,
  rows: someRows,
  cache: anything,
  window: anything,
  sinks: anything,
  cacheDtype: anything,
};

/**
 * Texts that a model goes on with, one or several at once: each row has a length and positions of its own, and gets what it would get
 * alone, up to rounding.
 */
export interface TextSession {
  /** Texts. */
  readonly rows: number;
  /** Tokens so far; of the longest row. */
  readonly length: number;
  /** Tokens so far of each row. */
  readonly lengths: readonly number[];
  /**
   * Logits of the token after `tokens`: `[vocabulary]` of a list of numbers, which goes to the only row; `[rows, vocabulary]` of a list
   * of such lists, one for each row, of any lengths. The caller disposes of them. A step that throws leaves the texts as they were.
   *
   * @throws OptionError for what are no tokens of the vocabulary, and more than `maxLength` in all.
   */
  step(tokens: ArrayLike<number> | readonly ArrayLike<number>[]): Tensor;
  /**
   * Another session with the same tokens, which goes on without this one: row i of it is row `rows[i]` of this one, by default each
   * once. `fork([0, 0, 0])` goes on in three ways with a prompt that was computed once; a search by beams forks those that it keeps.
   */
  fork(rows?: readonly number[]): TextSession;
  /**
   * Forgets the tokens from `length` on, a number for all rows or one for each.
   *
   * @throws OptionError for more than there are; CapabilityError where the state does not go back that far, with what to do.
   */
  truncate(length: number | readonly number[]): void;
  /** Copies of all that it has of its tokens, which the caller disposes of, and a header that JSON can hold. */
  export(): Promise<SessionState>;
  /**
   * Takes in copies of what a session of the same model exported, on any device, in place of the tokens so far.
   *
   * @throws FormatError for the state of another model, other weights, another cache or version; OptionError for another number of rows.
   */
  import(state: SessionState): Promise<void>;
  /** Forgets the texts. */
  reset(): void;
  /** Frees the caches, not the model. Idempotent. */
  dispose(): void;
}
