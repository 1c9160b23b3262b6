import { commonDevice, type Tensor } from '../../tensor/tensor.js';
import type { Checked } from './check.js';
import { nonFinite } from './non-finite.js';
import { onDevice, type PartOnDevice } from './on-device.js';
import type { Dropout } from './options.js';
import { tensorsRead, type AttendPlan } from './plan.js';
import type { AttendInputs } from './sizes.js';

/** One pass of a call: its plan on the device, and the numbers that no kernel is specialised to. */
export interface AttendCall {
  readonly parts: readonly PartOnDevice[];
  readonly scale: number;
  readonly dropout: Dropout | undefined;
  /** `flagCount` words, not 0 where an input holds NaN or Inf; undefined where no pairs are hidden from the kernels. */
  readonly flags: Tensor | undefined;
}

/** A plan on the device, for the forward pass and, where the tape records it, for the backward pass. */
export interface PreparedCall {
  /** q, k, v and the tensors that the score reads. */
  readonly inputs: readonly Tensor[];
  readonly learned: readonly Tensor[];
  /** What the backward pass reads of the plan. */
  readonly uploaded: readonly Tensor[];
  /** A pass over pairs of `read`: what is NaN or Inf in these must not leak from hidden pairs. */
  pass(...read: readonly [Tensor, ...Tensor[]]): AttendCall;
}

export function prepare(
  who: string,
  plan: AttendPlan,
  { q, k, v }: AttendInputs,
  { scale, dropout }: Omit<Checked, 'sizes'>,
): PreparedCall {
  const learned = tensorsRead(plan);
  const inputs = [q, k, v, ...learned];
  commonDevice(who, inputs);
  const parts = onDevice(plan, q.device);
  return {
    inputs,
    learned,
    uploaded: parts.flatMap(({ tensors }) => tensors),
    pass: (...read) => ({
      parts,
      scale,
      dropout, // texts for GPUs look at weights instead
      flags: plan.hides && !q.device.info.gpu ? nonFinite(read) : undefined,
    }),
  };
}
