import type { F32 } from '../../codegen/expression/index.js';
import type { Mask } from '../../masks/index.js';
import type { TextPlace, Tensor } from '../../tensor/index.js';
import type { ForwardResult } from '../definition.js';
import type { AttentionShape } from '../options.js';

/** The next tokens: f32 `q` `[B,H,T,D]`, `k` `[B,G,T,D]`, `v` `[B,G,T,E]`, of which the first is token `start`. */
export interface Step {
  readonly q: Tensor;
  readonly k: Tensor;
  readonly v: Tensor;
  /** Further projections of the same tokens, f32. */
  readonly inputs: Readonly<Record<string, Tensor>>;
  readonly start: number;
  /** Of one token, where the step may be run again for later ones. */
  readonly place?: TextPlace | undefined;
  /** Tokens that such a step is for at most, this one included. */
  readonly most?: number | undefined;
}

/** What a decoder has of the tokens so far. */
export interface Memory {
  /** Takes the tokens in and attends from them to all that it has. */
  step(step: Step): ForwardResult;
  /** Whether steps of one token are alike but for their place, and nothing is taken from `start`. */
  readonly repeats: boolean;
  /** Whether, once it had `reached` tokens, those from `to` on are forgotten by writing others over them. */
  goesBack(reached: number, to: number): boolean;
  /** Copies of what it has of `length` tokens, by name, for some of its rows: `[rows.length, …]` each. */
  save(length: number, rows: readonly number[]): Readonly<Record<string, Tensor>>;
  /** Takes in what was saved of `length` tokens of as many rows, in place of what it has. @throws ShapeError for what does not fit. */
  load(saved: Readonly<Record<string, Tensor>>, length: number): void;
  /** Forgets everything and keeps the room. */
  reset(): void;
  /** What it holds, for the decoder to keep and to dispose of. */
  readonly tensors: readonly Tensor[];
}

/** What exact attention under a pattern is for a whole sequence: every step computes rows of it. */
export interface PlainAttention {
  readonly name: string;
  /** As long as the decoder may get. */
  readonly whole: AttentionShape;
  readonly scale: number;
  readonly pattern: Mask | undefined;
  readonly score: F32 | undefined;
}
