import { select, variable } from '../codegen/expression/index.js';
import { isFloat, type Dtype } from '../core/dtype.js';
import { checkValues, flag, wholeNumbers } from '../core/requirements.js';
import { checkList, resolveAxes, sizeOf, type Shape } from '../core/shape.js';
import { planReduce } from '../kernels/rowwise/plan.js';
import { reduce, reduceParameters, type Reduction } from '../kernels/rowwise/reduce.js';
import { runElementwise } from '../tensor/elementwise.js';
import { commonDevice, empty, operation, scope, share, type Tensor } from '../tensor/index.js';

export interface ReduceOptions {
  /** Axes to reduce, negative from the last; default all. */
  readonly axes?: number | readonly number[];
  /** Keep the reduced axes with extent 1; default false. */
  readonly keepDims?: boolean;
}

const requirements = { axes: wholeNumbers, keepDims: flag };

/** An axis of the merged shape: neighbours that are treated alike are one. */
interface Group {
  readonly extent: number;
  readonly reduced: boolean;
}

/** The result of one reduction, and its shape with the reduced axes kept as 1. */
interface Reduced {
  readonly out: Tensor;
  readonly kept: Shape;
  /** How many numbers became one. */
  readonly count: number;
}

function mergedAxes(shape: Shape, axes: readonly number[]): Group[] {
  const groups: Group[] = [];
  shape.forEach((extent, axis) => {
    const reduced = axes.includes(axis);
    const last = groups.at(-1);
    if (extent === 1) return;
    if (last?.reduced === reduced) groups[groups.length - 1] = { extent: last.extent * extent, reduced };
    else groups.push({ extent, reduced });
  });
  return groups;
}

const extentOf = (groups: readonly Group[]): number => sizeOf(groups.map(({ extent }) => extent));

/**
 * Reduces groups from the last to the first, each in one pass or, where it is long and alone, in two. The order of
 * operations depends on the shape only.
 */
function run(who: string, reduction: Reduction, x: Tensor, options: ReduceOptions, divide: boolean): Reduced {
  commonDevice(who, [x]);
  checkValues(who, options, requirements);
  const axes = resolveAxes(who, options.axes, x.shape);
  const kept = x.shape.map((extent, axis) => (axes.includes(axis) ? 1 : extent));
  const shape = options.keepDims === true ? kept : x.shape.filter((_, axis) => !axes.includes(axis));
  const dtype: Dtype = isFloat(x.dtype) ? x.dtype : 'f32';
  const count = x.size / sizeOf(kept);
  const out = scope(() => {
    let groups = mergedAxes(x.shape, axes);
    let current = x;
    do {
      const at = groups.map((group) => group.reduced).lastIndexOf(true);
      const [rows, columns] = [extentOf(groups.slice(0, Math.max(at, 0))), extentOf(groups.slice(at + 1))];
      const { chunks, next } = pass(reduction, current, rows, at < 0 ? 1 : groups[at]!.extent, columns, {
        last: groups.filter((group) => group.reduced).length <= 1,
        dtype,
        divisor: divide ? count : 1,
      });
      current = next;
      groups =
        at < 0
          ? groups
          : groups.flatMap((group, i) => (i !== at ? group : chunks > 1 ? { extent: chunks, reduced: true } : []));
    } while (groups.some((group) => group.reduced));
    return share(current, shape);
  });
  return { out, kept, count };
}

interface Finish {
  /** Whether this is the last group; the result is then written as `dtype`, divided by `divisor`. */
  readonly last: boolean;
  readonly dtype: Dtype;
  readonly divisor: number;
}

function pass(
  reduction: Reduction,
  x: Tensor,
  rows: number,
  length: number,
  columns: number,
  finish: Finish,
): { chunks: number; next: Tensor } {
  const plan = planReduce(rows, length, columns, x.device.info);
  const done = finish.last && plan.chunks === 1;
  const next = empty(
    [rows, plan.chunks, columns],
    done ? finish.dtype : 'f32',
    x.device,
    done ? 'tensor' : 'workspace',
  );
  const args = reduceParameters.pack({
    x: x.buffer,
    out: next.buffer,
    rows,
    length,
    columns,
    chunk: plan.chunk,
    chunks: plan.chunks,
    perTask: plan.perTask,
    divisor: done ? finish.divisor : 1,
  });
  x.device.run(reduce(reduction, plan.inner, x.dtype, next.dtype), args, plan.tasks);
  x.device.counters.bytesMoved += x.byteLength + next.byteLength;
  return { chunks: plan.chunks, next };
}

const x0 = variable('x0', 'f32');
const [x1, x2] = [variable('x1', 'f32'), variable('x2', 'f32')];

/** `x` repeated along axes of extent 1 up to `shape`, as f32, divided by `divisor`. */
function spread(x: Tensor, kept: Shape, shape: Shape, divisor = 1): Tensor {
  const out = empty(shape, 'f32', x.device);
  runElementwise(divisor === 1 ? x0 : x0.div(divisor), [share(x, kept)], out);
  return out;
}

/**
 * `Σ x` over `axes`, in f32 with blockwise partial sums. Integers give f32.
 *
 * @throws OptionError for an axis that does not exist, or is named twice.
 *
 * @example
 * sum(tensor([1, 2, 3, 4], [2, 2], { device }), { axes: -1 }); // [3, 7]
 */
export function sum(x: Tensor, options: ReduceOptions = {}): Tensor {
  const { out, kept } = run('sum', 'sum', x, options, false);
  operation('sum', [x], [out], ([d]) => [spread(d!, kept, x.shape)]);
  return out;
}

/** `Σ x / n` over `axes`, where n numbers become one; see `sum`. */
export function mean(x: Tensor, options: ReduceOptions = {}): Tensor {
  const { out, kept, count } = run('mean', 'sum', x, options, true);
  operation('mean', [x], [out], ([d]) => [spread(d!, kept, x.shape, count)]);
  return out;
}

/** The largest number over `axes`; a NaN makes the result NaN. Equal largest numbers share the gradient evenly. */
export const max = (x: Tensor, options: ReduceOptions = {}): Tensor => extremum('max', x, options);

/** The smallest number over `axes`; a NaN makes the result NaN. Equal smallest numbers share the gradient evenly. */
export const min = (x: Tensor, options: ReduceOptions = {}): Tensor => extremum('min', x, options);

const isEqual = x0.eq(x1).toF32();
const chosenShare = select(x0.eq(x1), x2, 0);

function extremum(reduction: 'max' | 'min', x: Tensor, options: ReduceOptions): Tensor {
  const { out, kept } = run(reduction, reduction, x, options, false);
  const vjp = ([d]: readonly (Tensor | undefined)[]): Tensor[] => {
    const best = share(out, kept);
    const hits = empty(x.shape, 'f32', x.device, 'workspace');
    runElementwise(isEqual, [x, best], hits);
    const ties = sumTo(hits, kept);
    const each = empty(kept, 'f32', x.device);
    runElementwise(x0.div(x1), [share(d!, kept), ties], each);
    const dx = empty(x.shape, 'f32', x.device);
    runElementwise(chosenShare, [x, best, each], dx);
    return [dx];
  };
  operation(reduction, [x], [out], vjp, [x, out]);
  return out;
}

// a row of −∞ has weight 0 everywhere
const weighted = select(x1.eq(-Infinity), 0, x2.mul(x0.sub(x1).exp()));

/** `log Σ e^x` over `axes`, with the largest number taken out first. A row of −∞ gives −∞ and gradient 0. */
export function logsumexp(x: Tensor, options: ReduceOptions = {}): Tensor {
  const { out, kept } = run('logsumexp', 'logsumexp', x, options, false);
  const vjp = ([d]: readonly (Tensor | undefined)[]): Tensor[] => {
    const dx = empty(x.shape, 'f32', x.device);
    runElementwise(weighted, [x, share(out, kept), share(d!, kept)], dx);
    return [dx];
  };
  operation('logsumexp', [x], [out], vjp, [x, out]);
  return out;
}

/** The sum of `x` over the axes along which `shape` was broadcast to `x`'s shape: the gradient of broadcasting. */
export function sumTo(x: Tensor, shape: Shape): Tensor {
  commonDevice('sumTo', [x]);
  checkList('sumTo', 'shape', shape);
  const missing = x.rank - shape.length;
  const axes = x.shape
    .map((_, axis) => axis)
    .filter((axis) => axis < missing || (shape[axis - missing] === 1 && x.shape[axis] !== 1));
  if (axes.length === 0) return share(x, shape);
  return share(run('sumTo', 'sum', x, { axes }, false).out, shape);
}
