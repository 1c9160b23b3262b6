import type { FloatDtype } from '../core/dtype.js';
import { checkValues, oneOf, type Requirements } from '../core/requirements.js';
import type { Module, NamedTensors } from '../nn/index.js';
import type { Beside } from '../nn/outcome.js';
import type { Tensor } from '../tensor/index.js';
import type { SessionOptions, TextSession } from './text-session.js';

export const reductions = oneOf(['mean', 'none']);
export const precisions = oneOf(['f32', 'f16', 'bf16']);

/** @throws OptionError for options that a loss does not have; `more` are those of the model. */
export const checkLossOptions = (who: string, options: LossOptions, more: Requirements = {}): void =>
  checkValues(who, options, { reduction: reductions, precision: precisions, ...more });

/** What the layers of a model carry from one segment of a text to the next: tensors by name, without gradients. */
export type ModelState = NamedTensors;

export interface LossOptions {
  /** `'mean'` (the default) over the targets that are not −100; `'none'`: one number per target, `[B, L]`, 0 for those. */
  readonly reduction?: 'mean' | 'none';
  /** How activations inside the layers are stored; sums, norms, softmax and the residual stream stay f32. Default `'f32'`. */
  readonly precision?: FloatDtype;
  /** What the call before returned, for a model with memory; undefined at the start of a text. */
  readonly state?: ModelState | undefined;
}

/**
 * The loss, what the layers add to it (`losses`: they train parts of the model and say nothing of its predictions), and what goes on to
 * the next segment (`state`; the caller disposes of it).
 */
export interface Loss extends Beside {
  /** Cross-entropy of the targets in nats, f32: `[]` or `[B, L]`. */
  readonly loss: Tensor;
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
