import type { FloatDtype } from '../core/dtype.js';
import { checkValues, oneOf, type Requirements } from '../core/requirements.js';
import type { Module } from '../nn/index.js';
import type { Tensor } from '../tensor/index.js';
import type { SessionOptions, TextSession } from './text-session.js';

export const reductions = oneOf(['mean', 'none']);
export const precisions = oneOf(['f32', 'f16', 'bf16']);

/** @throws OptionError for options that a loss does not have; `more` are those of the model. */
export const checkLossOptions = (who: string, options: LossOptions, more: Requirements = {}): void =>
  checkValues(who, options, { reduction: reductions, precision: precisions, ...more });

/** What a model with memory carries from one segment of a text to the next: tensors by name, without gradients. */
export type ModelState = Readonly<Record<string, Tensor>>;

export interface LossOptions {
  /** `'mean'` (the default) over the targets that are not −100; `'none'`: one number per target, `[B, L]`, 0 for those. */
  readonly reduction?: 'mean' | 'none';
  /** How activations inside the layers are stored; sums, norms, softmax and the residual stream stay f32. Default `'f32'`. */
  readonly precision?: FloatDtype;
  /** What the call before returned, for a model with memory; undefined at the start of a text. */
  readonly state?: ModelState | undefined;
}

export interface Loss {
  /** Cross-entropy of the targets in nats, f32: `[]` or `[B, L]`. */
  readonly loss: Tensor;
  /** A further loss that trains parts of the model and says nothing of its predictions, `[]`. */
  readonly auxiliary?: Tensor;
  /** For the next segment; the caller disposes of it. */
  readonly state?: ModelState;
}

/** A model of the next token: what is trained, evaluated and sampled from. */
export interface LanguageModel extends Module {
  /** Number of different tokens. */
  readonly vocabulary: number;
  /** Tokens that it is trained on at a time. */
  readonly length: number;
  /** The loss of `targets [B, L]` at the places of `tokens [B, L]`, both i32. */
  loss(tokens: Tensor, targets: Tensor, options?: LossOptions): Loss;
  /** Texts that it goes on with; absent from a model that does not decode step by step. */
  session?(options: SessionOptions): TextSession;
}
