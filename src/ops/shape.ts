import { variable } from '../codegen/expression/index.js';
import { describe } from '../core/describe.js';
import { isFloat } from '../core/dtype.js';
import { OptionError, ShapeError } from '../core/errors.js';
import { checkValues, flag, someNumber, wholeFrom, wholeNumber } from '../core/requirements.js';
import {
  broadcastShapes,
  checkList,
  checkShape,
  inferShape,
  resolveAxis,
  sameShape,
  show,
  sizeOf,
  stridesOf,
} from '../core/shape.js';
import { runCopy } from '../tensor/copy.js';
import { runElementwise } from '../tensor/elementwise.js';
import { noteAmong } from '../tensor/integers.js';
import {
  checkTensors,
  commonDevice,
  full,
  noGradient,
  operation,
  produce,
  scope,
  share,
  trackLeaf,
  zeros,
  type Tensor,
} from '../tensor/index.js';
import { sumTo } from './reduce.js';

/**
 * The same numbers in another shape; no number is moved. One extent may be −1: it is what the others leave.
 *
 * @throws ShapeError when the shape does not hold the numbers.
 */
export function reshape(x: Tensor, shape: readonly number[]): Tensor {
  commonDevice('reshape', [x]);
  const out = share(x, inferShape('reshape', shape, x.shape));
  operation('reshape', [x], [out], ([d]) => [share(d!, x.shape)]);
  return out;
}

/**
 * Reorders axes: axis i of the result is axis `permutation[i]` of x. Default: the last two are swapped.
 *
 * @throws OptionError unless the permutation names every axis once.
 *
 * @example
 * const x = tensor([1, 2, 3, 4, 5, 6], [2, 3], { device });
 * transpose(x); // [[1, 4], [2, 5], [3, 6]]
 * transpose(zeros([2, 5, 3, 4], { device }), [0, 2, 1, 3]).shape; // [2, 3, 5, 4]
 */
export function transpose(x: Tensor, permutation?: readonly number[]): Tensor {
  commonDevice('transpose', [x]);
  const order = resolvePermutation(x, permutation);
  const out = permute(x, order);
  const inverse = order.map((_, axis) => order.indexOf(axis));
  operation('transpose', [x], [out], ([d]) => [permute(d!, inverse)]);
  return out;
}

function resolvePermutation(x: Tensor, permutation: readonly number[] | undefined): number[] {
  if (permutation === undefined) {
    if (x.rank < 2)
      throw new ShapeError(`transpose: without a permutation x must have two axes or more; got ${show(x.shape)}.`);
    return [...x.shape.keys()].map((axis) =>
      axis === x.rank - 1 ? x.rank - 2 : axis === x.rank - 2 ? x.rank - 1 : axis,
    );
  }
  checkList('transpose', 'permutation', permutation);
  const order = permutation.map((axis) => resolveAxis('transpose', axis, x.shape));
  if (order.length !== x.rank || new Set(order).size !== x.rank) {
    throw new OptionError(
      `transpose: the permutation must name each axis of ${show(x.shape)} once; got ${describe(permutation)}.`,
    );
  }
  return order;
}

function permute(x: Tensor, order: readonly number[]): Tensor {
  const shape = order.map((axis) => x.shape[axis]!);
  const moving = order.filter((axis) => x.shape[axis] !== 1);
  if (moving.every((axis, i) => i === 0 || moving[i - 1]! < axis)) return share(x, shape);
  const strides = stridesOf(x.shape);
  const walk = { offset: 0, steps: order.map((axis) => strides[axis]!) };
  const device = commonDevice('transpose', [x]);
  return moved(
    [x],
    produce(shape, x.dtype, device, (out) => runCopy(shape, x, walk, out, whole(shape))),
  );
}

export interface SliceOptions {
  /** Default 0. */
  readonly axis?: number;
  /** First index; negative counts from the end; default 0. */
  readonly start?: number;
  /** Index after the last; negative counts from the end; default the extent. */
  readonly end?: number;
  /** Take every step-th; a whole number of at least 1; default 1. */
  readonly step?: number;
}

/**
 * `x[..., start:end:step, ...]` along one axis, as a copy.
 *
 * @throws ShapeError when the range is empty or leaves the axis; OptionError for an axis or step that is none.
 *
 * @example
 * const x = tensor([1, 2, 3, 4, 5, 6], [2, 3], { device });
 * slice(x, { axis: -1, start: -2 }); // [[2, 3], [5, 6]]
 */
export function slice(x: Tensor, options: SliceOptions): Tensor {
  const device = commonDevice('slice', [x]);
  checkValues('slice', options, { axis: wholeNumber, start: wholeNumber, end: wholeNumber, step: wholeFrom(1) });
  const axis = resolveAxis('slice', options.axis ?? 0, x.shape);
  const extent = x.shape[axis]!;
  const { start = 0, end = extent, step = 1 } = options;
  const [first, last] = [start, end].map((index) => (index < 0 ? index + extent : index)) as [number, number];
  if (!(first >= 0 && first < last && last <= extent)) {
    throw new ShapeError(
      `slice: start and end must be integers with 0 ≤ start < end ≤ ${extent}, the extent of axis ${axis} of ${show(x.shape)}; ` +
        `got start=${start}, end=${end}.`,
    );
  }
  const shape = x.shape.map((size, i) => (i === axis ? Math.ceil((last - first) / step) : size));
  const strides = stridesOf(x.shape);
  const walk = {
    offset: first * strides[axis]!,
    steps: strides.map((stride, i) => (i === axis ? stride * step : stride)),
  };
  const out = moved(
    [x],
    produce(shape, x.dtype, device, (y) => runCopy(shape, x, walk, y, whole(shape))),
  );
  operation('slice', [x], [out], ([d]) => {
    const dx = full(x.shape, 0, { device });
    runCopy(shape, d!, whole(shape), dx, walk);
    return [dx];
  });
  return out;
}

/** `out`, whose elements are those of `sources`. */
function moved(sources: readonly Tensor[], out: Tensor): Tensor {
  if (out.dtype === 'i32') noteAmong(out, sources);
  return out;
}

const whole = (shape: readonly number[]): { offset: number; steps: number[] } => ({
  offset: 0,
  steps: stridesOf(shape),
});

/** Cuts x along an axis into pieces of the given extents, which must add up to its own. */
export function split(x: Tensor, extents: readonly number[], options: { readonly axis?: number } = {}): Tensor[] {
  commonDevice('split', [x]);
  checkValues('split', options, { axis: wholeNumber });
  checkList('split', 'extents', extents);
  const axis = resolveAxis('split', options.axis ?? 0, x.shape);
  const positive = extents.every((extent) => Number.isInteger(extent) && extent > 0);
  if (!positive || extents.reduce((total, extent) => total + extent, 0) !== x.shape[axis]) {
    throw new ShapeError(
      `split: extents must be whole numbers of at least 1 that add up to ${x.shape[axis]}, axis ${axis} of ${show(x.shape)}; got ${describe(extents)}.`,
    );
  }
  let start = 0;
  const parts = noGradient(() => extents.map((extent) => slice(x, { axis, start, end: (start += extent) })));
  // one operation of many results, so that the gradient is written once: slices would each put theirs among zeros
  const { device } = x;
  const shapes = parts.map(({ shape }) => shape);
  operation('split', [x], parts, (cotangents) => [
    concat(
      cotangents.map((d, i) => d ?? zeros(shapes[i]!, { device })),
      { axis },
    ),
  ]);
  return parts;
}

/**
 * The tensors one after the other along an axis; default 0. All other extents and the dtypes must be equal.
 *
 * @throws ShapeError or OptionError when they are not.
 */
export function concat(tensors: readonly Tensor[], options: { readonly axis?: number } = {}): Tensor {
  checkValues('concat', options, { axis: wholeNumber });
  checkTensors('concat', 'tensors', tensors);
  if (tensors.length === 0) throw new OptionError('concat: takes at least one tensor; got none.');
  const device = commonDevice('concat', tensors);
  const [first] = tensors as [Tensor];
  const axis = resolveAxis('concat', options.axis ?? 0, first.shape);
  const fits = (tensor: Tensor): boolean =>
    tensor.rank === first.rank && tensor.shape.every((extent, i) => i === axis || extent === first.shape[i]);
  if (!tensors.every(fits)) {
    const shapes = tensors.map((tensor) => show(tensor.shape)).join(', ');
    throw new ShapeError(`concat: shapes must be equal except on axis ${axis}; got ${shapes}.`);
  }
  if (tensors.some((tensor) => tensor.dtype !== first.dtype)) {
    throw new OptionError(
      `concat: dtypes must be equal; got ${tensors.map((tensor) => tensor.dtype).join(', ')}. Use cast first.`,
    );
  }
  const total = tensors.reduce((sum, tensor) => sum + tensor.shape[axis]!, 0);
  const shape = first.shape.map((extent, i) => (i === axis ? total : extent));
  checkShape('concat', shape);
  const steps = stridesOf(shape);
  let start = 0;
  const walks = tensors.map((tensor) => {
    const walk = { offset: start * steps[axis]!, steps };
    start += tensor.shape[axis]!;
    return walk;
  });
  const out = produce(shape, first.dtype, device, (y) => {
    tensors.forEach((tensor, i) => runCopy(tensor.shape, tensor, whole(tensor.shape), y, walks[i]!));
  });
  moved(tensors, out);
  operation('concat', tensors, [out], ([d], needs) =>
    tensors.map((tensor, i) => {
      if (!needs[i]) return undefined;
      return produce(tensor.shape, 'f32', device, (piece) =>
        runCopy(tensor.shape, d!, walks[i]!, piece, whole(tensor.shape)),
      );
    }),
  );
  return out;
}

/**
 * Adds `widths[i] = [before, after]` elements of `value` (default 0) around axis i.
 *
 * @throws ShapeError unless there is one pair of whole numbers of at least 0 per axis.
 */
export function pad(
  x: Tensor,
  widths: readonly (readonly [number, number])[],
  options: { readonly value?: number } = {},
): Tensor {
  const device = commonDevice('pad', [x]);
  checkValues('pad', options, { value: someNumber });
  checkWidths(x, widths);
  const shape = x.shape.map((extent, i) => extent + widths[i]![0] + widths[i]![1]);
  const steps = stridesOf(shape);
  const inside = { offset: widths.reduce((offset, [before], i) => offset + before * steps[i]!, 0), steps };
  const out = scope(() => {
    const padded = full(shape, options.value ?? 0, { device, dtype: x.dtype });
    runCopy(x.shape, x, whole(x.shape), padded, inside);
    return moved([x, padded], padded);
  });
  operation('pad', [x], [out], ([d]) => [
    produce(x.shape, 'f32', device, (dx) => runCopy(x.shape, d!, inside, dx, whole(x.shape))),
  ]);
  return out;
}

function checkWidths(x: Tensor, widths: readonly (readonly [number, number])[]): void {
  const pair = (entry: unknown): boolean =>
    Array.isArray(entry) && entry.length === 2 && entry.every((width) => Number.isInteger(width) && width >= 0);
  if (Array.isArray(widths) && widths.length === x.rank && widths.every(pair)) return;
  const got = Array.isArray(widths) ? `[${widths.map(describe).join()}]` : describe(widths);
  throw new ShapeError(
    `pad: takes one pair [before, after] of whole numbers of at least 0 for each axis of ${show(x.shape)}; got ${got}.`,
  );
}

const asFloat = variable('x0', 'f32');
const asInteger = variable('x0', 'i32');

/**
 * x repeated to `shape`: axes are aligned at the last, and those of extent 1, or missing, repeat.
 *
 * @throws ShapeError when x does not broadcast to the shape.
 */
export function broadcastTo(x: Tensor, shape: readonly number[]): Tensor {
  const device = commonDevice('broadcastTo', [x]);
  checkShape('broadcastTo', shape);
  if (!sameShape(broadcastShapes('broadcastTo', [x.shape, shape]), shape)) {
    throw new ShapeError(
      `broadcastTo: ${show(x.shape)} does not repeat to ${show(shape)}: every extent must be 1 or equal.`,
    );
  }
  const expression = isFloat(x.dtype) ? asFloat : asInteger;
  const out =
    sizeOf(shape) === x.size
      ? share(x, shape)
      : moved(
          [x],
          produce(shape, x.dtype, device, (y) => runElementwise(expression, [x], y)),
        );
  operation('broadcastTo', [x], [out], ([d]) => [sumTo(d!, x.shape)]);
  return out;
}

/**
 * The same numbers and memory, cut off from what they were computed from: no gradient flows through. With
 * `requiresGradient` the result is a leaf of its own, such as a parameter after an update.
 *
 * @throws OptionError when gradients are asked of integers.
 */
export function detach(x: Tensor, options: { readonly requiresGradient?: boolean } = {}): Tensor {
  commonDevice('detach', [x]);
  checkValues('detach', options, { requiresGradient: flag });
  const { requiresGradient = false } = options;
  if (requiresGradient && !isFloat(x.dtype)) {
    throw new OptionError(`detach: gradients need dtype f32, f16 or bf16; got ${x.dtype}.`);
  }
  const out = share(x);
  if (requiresGradient) trackLeaf(out);
  return out;
}
