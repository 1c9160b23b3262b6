import { OptionError, ShapeError } from '../core/errors.js';
import { checkValues, wholeFrom } from '../core/requirements.js';
import { checkShape, show } from '../core/shape.js';
import { gather } from '../ops/gather.js';
import { commonDevice, scope, tensor, type Tensor } from '../tensor/index.js';
import { someLayout, type PairLayout } from './rotate.js';

export interface RopePermutation {
  /** Heads in the axis: query heads for W_q, key/value heads for W_k. */
  readonly heads: number;
  /** D. */
  readonly headDim: number;
  /** R, the components that turn; default D. */
  readonly rotaryDim?: number;
  /** The layout wanted; the components come from the other one. */
  readonly to: PairLayout;
}

const extent = wholeFrom(1);
const requirements = { heads: extent, headDim: extent, rotaryDim: extent, to: someLayout };

/**
 * The order of components that turns one layout of rotary pairs into the other: within each head, `'half'` takes 0, 2, 4 …,
 * then 1, 3, 5 …, and `'interleaved'` undoes it. Entry i is the component that moves to place i. With queries and keys
 * permuted alike, scores are the same.
 *
 * @throws OptionError for sizes that are no whole numbers of at least 1, or an odd rotaryDim.
 *
 * @example
 * [...ropePermutation({ heads: 1, headDim: 6, to: 'half' })]; // [0, 2, 4, 1, 3, 5]
 */
export function ropePermutation(options: RopePermutation): Int32Array {
  return permutationOf('ropePermutation', options);
}

function permutationOf(who: string, options: RopePermutation): Int32Array {
  checkValues(who, options, requirements, ['heads', 'headDim', 'to']);
  const { heads, headDim, rotaryDim = headDim, to } = options;
  if (rotaryDim > headDim) {
    throw new OptionError(`${who}: rotaryDim must be at most headDim ${headDim}; got ${rotaryDim}.`);
  }
  checkShape(who, [heads, headDim]);
  if (rotaryDim % 2 !== 0) throw new OptionError(`${who}: rotaryDim must be even; got ${rotaryDim}.`);
  const half = rotaryDim / 2;
  const toHalf = (i: number): number => (i < half ? 2 * i : 2 * (i - half) + 1);
  const toInterleaved = (i: number): number => (i % 2 === 0 ? i / 2 : half + (i - 1) / 2);
  const from = to === 'half' ? toHalf : toInterleaved;
  return Int32Array.from({ length: heads * headDim }, (_, i) => {
    const component = i % headDim;
    return component < rotaryDim ? i - component + from(component) : i;
  });
}

/**
 * The weight or bias of a query or key projection, `[heads·headDim, ...]`, for the other layout of rotary pairs; rows move
 * as `ropePermutation` says. Differentiable in the weight.
 *
 * @throws ShapeError unless the first axis is heads·headDim; OptionError as `ropePermutation` does.
 */
export function permuteRopeWeight(weight: Tensor, options: RopePermutation): Tensor {
  const who = 'permuteRopeWeight';
  const order = permutationOf(who, options);
  commonDevice(who, [weight]);
  if (weight.shape[0] !== order.length) {
    throw new ShapeError(
      `${who}: weight must be [heads·headDim,...]=[${order.length},...]; got weight=${show(weight.shape)}.`,
    );
  }
  return scope(() => gather(weight, tensor(order, [order.length], { device: weight.device })));
}
