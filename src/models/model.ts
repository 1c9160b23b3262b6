import type { FloatDtype } from '../core/dtype.js';
import { checkValues, flag, listOfNumbers, oneOf, type Requirements } from '../core/requirements.js';
import type { Mask } from '../masks/index.js';
import type { Module, NamedTensors } from '../nn/index.js';
import { someLists, someMask } from '../nn/layer.js';
import type { Beside } from '../nn/outcome.js';
import { someTensor, type Tensor } from '../tensor/index.js';
import type { SessionOptions, TextSession } from './text-session.js';

export const reductions = oneOf(['mean', 'none']);
export const precisions = oneOf(['f32', 'f16', 'bf16']);

/** @throws OptionError for options that a loss does not have; `more` are those of the model. */
export const checkLossOptions = (who: string, options: LossOptions, more: Requirements = {}): void =>
  checkValues(who, options, { reduction: reductions, precision: precisions, predictions: flag, ...more });

/** @throws OptionError for what is not a batch of tokens; `more` are inputs of the model beside them. */
export const checkBatch = (batch: TokenBatch, more: Requirements = {}, needed: readonly string[] = []): void =>
  checkValues('model.loss: batch', batch, { tokens: someTensor, targets: someTensor, ...more }, [
    'tokens',
    'targets',
    ...needed,
  ]);

/** The inputs of models that take padding and masks. */
export const padded = { lengths: listOfNumbers, mask: someMask };
export const ofGlobals = { globalTokens: someLists };

/** What the layers of a model carry from one segment of a text to the next: tensors by name, without gradients. */
export type ModelState = NamedTensors;

export interface LossOptions {
  /** `'mean'` (the default) over the targets that are not −100; `'none'`: one number per target, `[B, L]`, 0 for those. */
  readonly reduction?: 'mean' | 'none' | undefined;
  /** How activations inside the layers are stored; sums, norms, softmax and the residual stream stay f32. Default `'f32'`. */
  readonly precision?: FloatDtype;
  /** Whether `Loss.predictions` are wanted. Default false. */
  readonly predictions?: boolean | undefined;
  /** What the call before returned, for a model with memory; undefined at the start of a text. */
  readonly state?: ModelState | undefined;
}

/**
 * The loss, what the layers add to it (`losses`: they train parts of the model and say nothing of its predictions), and what goes on to
 * the next segment (`state`; the caller disposes of it).
 */
export interface Loss extends Beside {
  /** What is minimised, f32: of tokens, the cross-entropy of the targets in nats, `[]` or `[B, L]`. */
  readonly loss: Tensor;
  /** Where asked for: the likeliest token of each target, i32, shaped as the targets; without gradient. */
  readonly predictions?: Tensor;
}

/** What a model of tokens is trained on: a target at each token, −100 where none is. */
export interface TokenBatch {
  /** `[B, L]`, i32. */
  readonly tokens: Tensor;
  /**
   * `[B, L]`, i32; of layers that change the length, `[B, L′]`; with `places`, `[B, N]`. A decoder whose rows stand for the latest ones reads
   * targets of those: all others count for nothing, and should be −100 where several batches are averaged.
   */
  readonly targets: Tensor;
  /**
   * `[B, N]`, i32: the rows after the last layer that the targets are of, where they are few: logits are computed of these alone. Those
   * whose target is −100 may be any. A Transformer takes them.
   */
  readonly places?: Tensor;
  /** Real tokens of each row, for a mechanism that takes padding; those beyond are not seen. Give them targets of −100. */
  readonly lengths?: readonly number[];
  /**
   * Pairs of tokens that may see each other, of those that the model lets, for mechanisms that take it: `document(ids)` keeps several texts of
   * a row apart. Give each last token of a text a target of −100.
   */
  readonly mask?: Mask;
  /** Positions of global tokens, a list for each row, for a mechanism that has such; default those of its options. */
  readonly globalTokens?: readonly (readonly number[])[];
  /** `[B, L]`, i32: the type of each token, for a model that has types; default 0. */
  readonly types?: Tensor;
}

/**
 * What is trained and evaluated: a module with a loss of a batch, whatever the batch holds. `Model<never>` is any of them.
 *
 * A model of your own may ignore options that it has no use for. Its mean is over the targets that the batch has `counted`; where none
 * counts, a trainer asks for `reduction: 'none'` and does not look at the loss.
 */
export interface Model<B = TokenBatch> extends Module {
  loss(batch: B, options?: LossOptions): Loss;
}

/** A model of tokens: what is trained, evaluated and sampled from. */
export interface LanguageModel extends Model {
  /** Number of different tokens. */
  readonly vocabulary: number;
  /** Tokens that it is trained on at a time. */
  readonly length: number;
  /** Tokens that it predicts, the first of its vocabulary; default all. */
  readonly outputs?: number;
  /** Targets at the end of a window of so many tokens that it has losses of; absent: of all. */
  predicts?(length: number): number;
  /** Texts that it goes on with; absent from a model that does not decode step by step. */
  session?(options: SessionOptions): TextSession;
}
