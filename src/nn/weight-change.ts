import { OptionError, ShapeError } from '../core/errors.js';
import {
  checkValue,
  having,
  listOf,
  listOfNumbers,
  wholeFrom,
  wholeNumber,
  type Requirement,
} from '../core/requirements.js';
import { show, sizeOf, sameShape } from '../core/shape.js';
import { concat, gather, reshape, split as splitOf, transpose } from '../ops/index.js';
import { checkTensors, tensor, type Tensor } from '../tensor/index.js';

/** What makes tensors of a published checkpoint ours, and back: `toTheirs(toOurs(x))` is x, bit by bit. */
export interface Change {
  toOurs(theirs: readonly Tensor[]): readonly Tensor[];
  toTheirs(ours: readonly Tensor[]): readonly Tensor[];
}

const someExtents = listOf('whole numbers of at least 1', wholeFrom(1));

export const aChange: Requirement = having('a change', 'toOurs', 'toTheirs');

type Way = (tensors: readonly Tensor[]) => readonly Tensor[];

/** A change that is called with tensors alone, as many as it takes. */
function change(
  who: string,
  toOurs: Way,
  toTheirs: Way,
  count?: { readonly theirs: number; readonly ours: number },
): Change {
  const looked =
    (way: Way, whose: 'theirs' | 'ours'): Way =>
    (tensors) => {
      checkTensors(who, whose, tensors);
      const wanted = count?.[whose];
      if (wanted === undefined || tensors.length === wanted) return way(tensors);
      throw new ShapeError(`${who}: it takes ${wanted} tensors of ${whose}; got ${tensors.length}.`);
    };
  return { toOurs: looked(toOurs, 'theirs'), toTheirs: looked(toTheirs, 'ours') };
}

const each = (who: string, toOurs: (x: Tensor) => Tensor, toTheirs: (x: Tensor) => Tensor): Change =>
  change(
    who,
    (theirs) => theirs.map((x) => toOurs(x)),
    (ours) => ours.map((x) => toTheirs(x)),
  );

/** Every tensor as it is. */
export const same: Change = { toOurs: (theirs) => theirs, toTheirs: (ours) => ours };

/** The last two axes swapped: weights of PyTorch's linear layers are `[out, in]`, ours `[in, out]`. */
export const transposed: Change = each(
  'transposed',
  (x) => transpose(x),
  (x) => transpose(x),
);

/** One change after the other. @throws OptionError for what is not a change. */
export function chain(...changes: readonly Change[]): Change {
  changes.forEach((one, i) => checkValue('chain', `change ${i}`, one, aChange));
  return change(
    'chain',
    (theirs) => changes.reduce((tensors, one) => one.toOurs(tensors), theirs),
    (ours) => changes.reduceRight((tensors, one) => one.toTheirs(tensors), ours),
  );
}

/** Several along an axis to one, and back. */
function pieces(who: string, axis: number, extents: readonly number[]): readonly [together: Way, apart: Way] {
  checkValue(who, 'axis', axis, wholeNumber);
  checkValue(who, 'extents', extents, someExtents);
  const together: Way = (parts) => {
    const found = parts.map(({ shape }) => shape.at(axis));
    if (!sameShape(found as number[], extents)) {
      throw new ShapeError(`along axis ${axis} they must have ${extents.join(', ')} entries, not ${found.join(', ')}.`);
    }
    return [concat(parts, { axis })];
  };
  return [together, ([whole]) => splitOf(whole!, extents, { axis })];
}

/** Several of theirs are one of ours, along `axis`; `extents` are theirs, in order. @throws OptionError for what are no extents. */
export function joined(axis: number, extents: readonly number[]): Change {
  const [together, apart] = pieces('joined', axis, extents);
  return change('joined', together, apart, { theirs: extents.length, ours: 1 });
}

/** One of theirs is several of ours, along `axis`; `extents` are ours, in order. @throws OptionError for what are no extents. */
export function parted(axis: number, extents: readonly number[]): Change {
  const [together, apart] = pieces('parted', axis, extents);
  return change('parted', apart, together, { theirs: 1, ours: extents.length });
}

/** Their shape, and ours of as many numbers. @throws OptionError for what are no such shapes. */
export function reshaped(theirs: readonly number[], ours: readonly number[]): Change {
  checkValue('reshaped', 'theirs', theirs, someExtents);
  checkValue('reshaped', 'ours', ours, someExtents);
  if (sizeOf(theirs) !== sizeOf(ours)) {
    throw new OptionError(`reshaped: ${show(theirs)} and ${show(ours)} must hold as many numbers.`);
  }
  const to = (from: readonly number[], shape: readonly number[]) => (x: Tensor) => {
    if (!sameShape(x.shape, from)) throw new ShapeError(`it must be ${show(from)}, not ${show(x.shape)}.`);
    return reshape(x, shape);
  };
  return each('reshaped', to(theirs, ours), to(ours, theirs));
}

/**
 * The entries of an axis in another order: entry i of ours is their entry `order[i]`. `ropePermutation` gives one that turns a layout of
 * rotary pairs into the other.
 *
 * @throws OptionError for what is not an order of all entries.
 */
export function reordered(axis: number, order: ArrayLike<number>): Change {
  checkValue('reordered', 'axis', axis, wholeNumber);
  checkValue('reordered', 'order', order, listOfNumbers);
  const inverse = new Int32Array(order.length).fill(-1);
  Array.from(order).forEach((from, i) => (inverse[from] = i));
  if (inverse.includes(-1)) throw new OptionError('reordered: order must hold every number from 0 on once.');
  const by = (indices: Int32Array) => (x: Tensor) => {
    if (x.shape.at(axis) !== indices.length) {
      throw new ShapeError(`along axis ${axis} it must have ${indices.length} entries, not ${show(x.shape)}.`);
    }
    return gather(x, tensor(indices, [indices.length], { device: x.device }), { axis });
  };
  return each('reordered', by(Int32Array.from(order)), by(inverse));
}
