import { memoised } from '../../core/memo.js';
import { variable, type F32 } from '../../codegen/expression/index.js';

/** The inputs of an elementwise kernel. */
export const [x0, x1, x2] = [variable('x0', 'f32'), variable('x1', 'f32'), variable('x2', 'f32')];

/** `old·β + value·(1 − β)`. */
export const average = (old: F32, value: F32, β: number): F32 => old.mul(β).add(value.mul(1 - β));

/**
 * `x0 − (decay·x0 + change)`: what is small is added up before it meets the weight. `x0·(1 − decay)` would round the
 * factor, by the same amount at every step.
 */
export const moved = (decay: number, change: F32): F32 => x0.sub(decay === 0 ? change : x0.mul(decay).add(change));

/**
 * An expression of numbers, made once: kernels are found by its identity, and all parameters of a step mostly have the same numbers.
 * More is kept than the sets of numbers of one step: parameters that decay or not, and some that were skipped now and then.
 */
export const expressionOf = <N extends readonly number[]>(build: (...numbers: N) => F32): ((...numbers: N) => F32) =>
  memoised(build, { most: 16 });
