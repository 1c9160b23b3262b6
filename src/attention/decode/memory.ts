import type { F32 } from '../../codegen/expression/index.js';
import type { AttendShape, Mask } from '../../masks/index.js';
import type { Tensor } from '../../tensor/index.js';
import type { ForwardResult } from '../definition.js';

/** The next tokens: f32 `q` `[B,H,T,D]`, `k` `[B,G,T,D]`, `v` `[B,G,T,E]`, of which the first is token `start`. */
export interface Step {
  readonly q: Tensor;
  readonly k: Tensor;
  readonly v: Tensor;
  /** Further projections of the same tokens, f32. */
  readonly inputs: Readonly<Record<string, Tensor>>;
  readonly start: number;
}

/** What a decoder has of the tokens so far. */
export interface Memory {
  /** Takes the tokens in and attends from them to all that it has. */
  step(step: Step): ForwardResult;
  /** Whether tokens taken in last are forgotten by writing others over them. */
  readonly rewinds: boolean;
  /** Forgets everything and keeps the room. */
  reset(): void;
  /** What it holds, for the decoder to keep and to dispose of. */
  readonly tensors: readonly Tensor[];
}

/** What exact attention under a pattern is for a whole sequence: every step computes rows of it. */
export interface PlainAttention {
  readonly name: string;
  /** As long as the decoder may get. */
  readonly whole: AttendShape;
  readonly scale: number;
  readonly pattern: Mask | undefined;
  readonly score: F32 | undefined;
}
