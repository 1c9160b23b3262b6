import { select, type F32 } from '../../codegen/expression/index.js';
import { concat, map, slice } from '../../ops/index.js';
import { full, type Tensor } from '../../tensor/index.js';

/** A last column of ones, whose weighted sum is the sum of the weights. */
export const withOnes = (v: Tensor): Tensor =>
  concat([v, full([...v.shape.slice(0, -1), 1], 1, { device: v.device })], { axis: -1 });

/** Sums of `withOnes(v)` divided by what `divisor` makes of their last column; 0 where that is 0. */
export function quotient(sums: Tensor, divisor: (weight: F32) => F32): Tensor {
  const E = sums.shape.at(-1)! - 1;
  const parts = [slice(sums, { axis: -1, end: E }), slice(sums, { axis: -1, start: E })] as const;
  return map((sum, weight) => select(divisor(weight).eq(0), 0, sum.div(divisor(weight))), ...parts);
}
