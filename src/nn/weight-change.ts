import { OptionError, ShapeError } from '../core/errors.js';
import { show, sizeOf, sameShape } from '../core/shape.js';
import { concat, gather, reshape, split as splitOf, transpose } from '../ops/index.js';
import { tensor, type Tensor } from '../tensor/index.js';

/** What makes tensors of a published checkpoint ours, and back: `toTheirs(toOurs(x))` is x, bit by bit. */
export interface Change {
  toOurs(theirs: readonly Tensor[]): readonly Tensor[];
  toTheirs(ours: readonly Tensor[]): readonly Tensor[];
}

const each = (toOurs: (x: Tensor) => Tensor, toTheirs: (x: Tensor) => Tensor): Change => ({
  toOurs: (theirs) => theirs.map((x) => toOurs(x)),
  toTheirs: (ours) => ours.map((x) => toTheirs(x)),
});

/** Every tensor as it is. */
export const same: Change = { toOurs: (theirs) => theirs, toTheirs: (ours) => ours };

/** The last two axes swapped: weights of PyTorch's linear layers are `[out, in]`, ours `[in, out]`. */
export const transposed: Change = each(
  (x) => transpose(x),
  (x) => transpose(x),
);

/** One change after the other. */
export const chain = (...changes: readonly Change[]): Change => ({
  toOurs: (theirs) => changes.reduce((tensors, change) => change.toOurs(tensors), theirs),
  toTheirs: (ours) => changes.reduceRight((tensors, change) => change.toTheirs(tensors), ours),
});

/** Several of theirs are one of ours, along `axis`; `extents` are theirs, in order. */
export const joined = (axis: number, extents: readonly number[]): Change => ({
  toOurs: (theirs) => {
    const found = theirs.map(({ shape }) => shape.at(axis));
    if (!sameShape(found as number[], extents)) {
      throw new ShapeError(`along axis ${axis} they must have ${extents.join(', ')} entries, not ${found.join(', ')}.`);
    }
    return [concat(theirs, { axis })];
  },
  toTheirs: ([ours]) => splitOf(ours!, extents, { axis }),
});

/** One of theirs is several of ours, along `axis`; `extents` are ours, in order. */
export const parted = (axis: number, extents: readonly number[]): Change => {
  const { toOurs, toTheirs } = joined(axis, extents);
  return { toOurs: toTheirs, toTheirs: toOurs };
};

/** Their shape, and ours of as many numbers. */
export function reshaped(theirs: readonly number[], ours: readonly number[]): Change {
  if (sizeOf(theirs) !== sizeOf(ours)) {
    throw new OptionError(`reshaped: ${show(theirs)} and ${show(ours)} must hold as many numbers.`);
  }
  const to = (from: readonly number[], shape: readonly number[]) => (x: Tensor) => {
    if (!sameShape(x.shape, from)) throw new ShapeError(`it must be ${show(from)}, not ${show(x.shape)}.`);
    return reshape(x, shape);
  };
  return each(to(theirs, ours), to(ours, theirs));
}

/**
 * The entries of an axis in another order: entry i of ours is their entry `order[i]`. `ropePermutation` gives one that turns a layout of
 * rotary pairs into the other.
 *
 * @throws OptionError for what is no order of all entries.
 */
export function reordered(axis: number, order: ArrayLike<number>): Change {
  const inverse = new Int32Array(order.length).fill(-1);
  Array.from(order).forEach((from, i) => (inverse[from] = i));
  if (inverse.includes(-1)) throw new OptionError('reordered: order must hold every number from 0 on once.');
  const by = (indices: Int32Array) => (x: Tensor) => {
    if (x.shape.at(axis) !== indices.length) {
      throw new ShapeError(`along axis ${axis} it must have ${indices.length} entries, not ${show(x.shape)}.`);
    }
    return gather(x, tensor(indices, [indices.length], { device: x.device }), { axis });
  };
  return each(by(Int32Array.from(order)), by(inverse));
}
