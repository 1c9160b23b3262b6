import { flagCount } from '../../kernels/attend/spec.js';
import { findNonFinite, finiteParameters } from '../../kernels/finite.js';
import { empty, writable, type Tensor } from '../../tensor/tensor.js';

/** Flags, `flagCount` words: not 0 where one of `inputs` holds NaN or Inf. */
export function nonFinite(inputs: readonly [Tensor, ...Tensor[]]): Tensor {
  const flags = noFlags(empty([flagCount], 'i32', inputs[0].device, 'workspace'));
  for (const x of inputs) raiseNonFinite(x, flags);
  return flags;
}

/** Takes all flags back. */
export function noFlags(flags: Tensor): Tensor {
  flags.device.write(writable(flags), new Int32Array(flagCount));
  return flags;
}

/** Sets some of `flags` where `x` holds NaN or Inf, and leaves the others. */
export function raiseNonFinite(x: Tensor, flags: Tensor): void {
  const chunk = 64 * Math.ceil(x.size / (64 * flagCount));
  const parameters = finiteParameters.pack({ x: x.buffer, count: x.size, chunk, flags: writable(flags) });
  x.device.run(findNonFinite, parameters, Math.ceil(x.size / chunk));
}
