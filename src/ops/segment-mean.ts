import { describe } from '../core/describe.js';
import { OptionError, ShapeError } from '../core/errors.js';
import { checkValues, listOfNumbers } from '../core/requirements.js';
import { show } from '../core/shape.js';
import { commonDevice, scope, type Tensor } from '../tensor/index.js';
import { max, mean, type ReduceOptions } from './reduce.js';
import { concat, reshape, slice } from './shape.js';

export interface SegmentOptions {
  /** Rows that count for each index of the first axis, `[B]`; those after them are not looked at. Default all n. */
  readonly lengths?: ArrayLike<number>;
}

/**
 * Means of m segments of consecutive rows, `x [..., n, D] → [..., m, D]`. With s = ⌊n/m⌋, the first (s + 1)·m − n segments have s
 * rows and the others s + 1. With `lengths` each element of the batch is cut by that rule into m segments of its own first
 * rows, as if the others were not there. Differentiable.
 *
 * Source: the landmarks of Nyströmformer, Xiong et al. 2021, arXiv 2102.03902; the rule for lengths that m does not divide
 * is that of linear randomized attention, Zheng et al. 2022, arXiv 2204.04667.
 *
 * @throws ShapeError for fewer than two axes, or lengths that are not one for each index of the first axis.
 * @throws OptionError unless `m` is a whole number from 1 to every length, and lengths are whole numbers up to n.
 *
 * @example
 * segmentMean(tensor([1, 2, 3, 4, 5], [5, 1], { device }), 2); // [[1.5], [4]]
 */
export const segmentMean = (x: Tensor, m: number, options: SegmentOptions = {}): Tensor =>
  segmented('segmentMean', mean, x, m, options);

/** The largest number of each column over each segment, cut as by `segmentMean`; equal largest numbers share the gradient. */
export const segmentMax = (x: Tensor, m: number, options: SegmentOptions = {}): Tensor =>
  segmented('segmentMax', max, x, m, options);

type Reduce = (x: Tensor, options: ReduceOptions) => Tensor;

function segmented(who: string, reduce: Reduce, x: Tensor, m: number, options: SegmentOptions): Tensor {
  commonDevice(who, [x]);
  checkValues(who, options, { lengths: listOfNumbers });
  check(who, x, m, options.lengths);
  const segments = (part: Tensor, length: number): Tensor => reduceSegments(reduce, part, length, m);
  const { lengths } = options;
  const n = x.shape.at(-2)!;
  if (lengths === undefined) return scope(() => segments(x, n));
  const first = lengths[0]!;
  if (Array.from(lengths).every((length) => length === first)) return scope(() => segments(x, first));
  return scope(() =>
    concat(Array.from(lengths, (length, b) => segments(slice(x, { axis: 0, start: b, end: b + 1 }), length))),
  );
}

/** Reduces the segments of the first `length` rows. */
function reduceSegments(reduce: Reduce, x: Tensor, length: number, m: number): Tensor {
  const rows = Math.floor(length / m);
  const short = (rows + 1) * m - length;
  const part = (start: number, count: number, size: number): Tensor[] => {
    if (count === 0) return [];
    const axis = x.rank - 2;
    const end = start + count * size;
    const taken = start === 0 && end === x.shape[axis] ? x : slice(x, { axis, start, end });
    const shape = [...x.shape.slice(0, -2), count, size, x.shape.at(-1)!];
    return [reduce(reshape(taken, shape), { axes: -2 })];
  };
  const reduced = [...part(0, short, rows), ...part(short * rows, m - short, rows + 1)];
  return reduced.length === 1 ? reduced[0]! : concat(reduced, { axis: x.rank - 2 });
}

function check(who: string, x: Tensor, m: number, lengths: ArrayLike<number> | undefined): void {
  if (x.rank < (lengths === undefined ? 2 : 3)) {
    throw new ShapeError(
      `${who}: x must be [...,n,D]${lengths === undefined ? '' : ', [B,...,n,D] with lengths'}; got ${show(x.shape)}.`,
    );
  }
  const n = x.shape.at(-2)!;
  if (lengths !== undefined && lengths.length !== x.shape[0]) {
    throw new ShapeError(
      `${who}: lengths must be [B], one for each index of the first axis; got ${lengths.length} for x=${show(x.shape)}.`,
    );
  }
  const all = Array.from(lengths ?? [n]);
  if (!all.every((length) => Number.isInteger(length) && length >= 1 && length <= n)) {
    throw new OptionError(`${who}: lengths must be whole numbers from 1 to n=${n}; got ${describe(all)}.`);
  }
  const least = Math.min(...all);
  if (!Number.isInteger(m) || m < 1 || m > least) {
    throw new OptionError(
      `${who}: m must be a whole number from 1 to ${least}, the rows there are (x=${show(x.shape)}` +
        `${lengths === undefined ? '' : `, lengths=${show(all)}`}); got ${describe(m)}. Take fewer segments.`,
    );
  }
}
