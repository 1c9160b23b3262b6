import { exp, log } from '../../codegen/math.js';
import type { F32, I32, Pointer, VectorBuilder, VF } from '../../codegen/vector.js';
import { bytesPerElement, type Dtype } from '../../core/dtype.js';
import { loadFloats, storeLanes, storeScalar } from '../cast/convert.js';
import type { Kernel } from '../../codegen/kernel.js';
import { parameterList } from '../parameters.js';
import { eachVector, extreme, firstLanes, largest, smallest, sumVectors } from '../lanes.js';

/** Reductions whose parts can be reduced again in the same way. */
export type Reduction = 'sum' | 'max' | 'min' | 'logsumexp';

/** `out[r, c, k]` = the reduction of `x[r, n, k]` over the n of chunk c, divided by `divisor`. */
export const reduceParameters = parameterList({
  x: 'pointer',
  out: 'pointer',
  rows: 'i32',
  /** Extent of n. */
  length: 'i32',
  /** Extent of k. */
  columns: 'i32',
  /** n of one chunk, and chunks of one row. */
  chunk: 'i32',
  chunks: 'i32',
  /** Rows of one task (`inner`), or columns of one task (`outer`). */
  perTask: 'i32',
  divisor: 'f32',
});
type Parameters = ReturnType<typeof reduceParameters.read>;

/** `inner`: columns = 1, lanes run along n; tasks are (row group, chunk). Else lanes run along k; tasks are (row, chunk, column group). */
export function reduce(reduction: Reduction, inner: boolean, dtype: Dtype, out: Dtype): Kernel {
  return {
    name: `reduce ${reduction}`,
    key: `${inner ? 'inner' : 'outer'} ${dtype} ${out}`,
    parameters: reduceParameters.kinds,
    cpu: (k) => (inner ? rowsText : columnsText)(k, reduction, dtype, out),
  };
}

function rowsText(k: VectorBuilder, reduction: Reduction, dtype: Dtype, out: Dtype): void {
  const p = reduceParameters.read(k);
  k.loop(k.begin, k.end, (task) => {
    const chunk = k.rem(task, p.chunks);
    const first = k.mul(k.div(task, p.chunks), p.perTask);
    const begin = k.mul(chunk, p.chunk);
    const end = k.min(k.add(begin, p.chunk), p.length);
    k.loop(first, k.min(k.add(first, p.perTask), p.rows), (row) => {
      const from = k.offset(p.x, k.mul(row, p.length), bytesPerElement[dtype]);
      const load = (at: I32, count?: I32): VF =>
        loadFloats(k, dtype, k.offset(from, at, bytesPerElement[dtype]), 0, count);
      const result = k.div(reduceRow(k, reduction, load, begin, end), p.divisor);
      storeScalar(k, out, k.offset(p.out, k.add(k.mul(row, p.chunks), chunk), bytesPerElement[out]), result);
    });
  });
}

type Load = (at: I32, count?: I32) => VF;

/** Loads of a partial vector give 0 in the lanes past its end. */
function reduceRow(k: VectorBuilder, reduction: Reduction, load: Load, begin: I32, end: I32): F32 {
  switch (reduction) {
    case 'sum':
      return sumVectors(k, begin, end, load);
    case 'max':
    case 'min': {
      const [start, pick] = reduction === 'max' ? ([-Infinity, largest] as const) : ([Infinity, smallest] as const);
      const best = k.variable('vf', start);
      eachVector(k, begin, end, (at, count) =>
        k.assign(best, pick(k, best, firstLanes(k, load(at, count), count, start))),
      );
      return extreme(k, best, reduction);
    }
    case 'logsumexp': {
      const shift = rowShift(k, load, begin, end);
      const all = k.splat(shift);
      const sum = sumVectors(k, begin, end, (at, count) =>
        exp(k, k.sub(firstLanes(k, load(at, count), count, -Infinity), all)),
      );
      return k.add(shift, k.lane(log(k, k.splat(sum)), 0));
    }
    default:
      return reduction satisfies never;
  }
}

/** What to subtract before exponentials: the largest finite-or-NaN-free number of a row, or 0 when it is infinite. */
export function rowShift(k: VectorBuilder, load: Load, begin: I32, end: I32): F32 {
  const best = k.variable('vf', -Infinity);
  eachVector(k, begin, end, (at, count) =>
    k.assign(best, k.max(best, firstLanes(k, load(at, count), count, -Infinity))),
  );
  const top = k.reduceMax(best);
  return k.select(k.lt(k.abs(top), Infinity), top, 0);
}

function columnsText(k: VectorBuilder, reduction: Reduction, dtype: Dtype, out: Dtype): void {
  const p = reduceParameters.read(k);
  const groups = k.div(k.add(p.columns, k.sub(p.perTask, 1)), p.perTask);
  k.loop(k.begin, k.end, (task) => {
    const group = k.rem(task, groups);
    const rest = k.div(task, groups);
    const chunk = k.rem(rest, p.chunks);
    const row = k.div(rest, p.chunks);
    const begin = k.mul(chunk, p.chunk);
    const end = k.min(k.add(begin, p.chunk), p.length);
    const from = k.offset(p.x, k.mul(k.mul(row, p.length), p.columns), bytesPerElement[dtype]);
    const to = k.offset(p.out, k.mul(k.add(k.mul(row, p.chunks), chunk), p.columns), bytesPerElement[out]);
    const firstColumn = k.mul(group, p.perTask);
    eachVector(k, firstColumn, k.min(k.add(firstColumn, p.perTask), p.columns), (column, count) => {
      const base = k.offset(from, column, bytesPerElement[dtype]);
      const load = (n: I32): VF => loadFloats(k, dtype, columnAt(k, base, n, p, dtype), 0, count);
      const result = k.div(reduceColumn(k, reduction, load, begin, end), k.splat(p.divisor));
      storeLanes(k, out, k.offset(to, column, bytesPerElement[out]), result, 0, count);
    });
  });
}

const columnAt = (k: VectorBuilder, base: Pointer, n: I32, p: Parameters, dtype: Dtype): Pointer =>
  k.offset(base, k.mul(n, p.columns), bytesPerElement[dtype]);

function reduceColumn(k: VectorBuilder, reduction: Reduction, load: (n: I32) => VF, begin: I32, end: I32): VF {
  switch (reduction) {
    case 'sum':
      return sumSteps(k, load, begin, end);
    case 'max':
    case 'min': {
      const [start, pick] = reduction === 'max' ? ([-Infinity, largest] as const) : ([Infinity, smallest] as const);
      const best = k.variable('vf', start);
      k.loop(begin, end, (n) => k.assign(best, pick(k, best, load(n))));
      return best;
    }
    case 'logsumexp': {
      const shift = columnShift(k, load, begin, end);
      const sum = sumSteps(k, (n) => exp(k, k.sub(load(n), shift)), begin, end);
      return k.add(shift, log(k, sum));
    }
    default:
      return reduction satisfies never;
  }
}

/** As `rowShift`, for every lane's own column. */
export function columnShift(k: VectorBuilder, load: (n: I32) => VF, begin: I32, end: I32): VF {
  const best = k.variable('vf', -Infinity);
  k.loop(begin, end, (n) => k.assign(best, k.max(best, load(n))));
  return k.select(k.lt(k.abs(best), Infinity), best, 0);
}

/** Sums `term(n)` in blocks of 32, so that the error grows with the number of blocks. */
export function sumSteps(k: VectorBuilder, term: (n: I32) => VF, begin: I32, end: I32): VF {
  const total = k.variable('vf', 0);
  k.loop(
    begin,
    end,
    (start) => {
      const sum = k.variable('vf', 0);
      k.loop(start, k.min(k.add(start, 32), end), (n) => k.assign(sum, k.add(sum, term(n))));
      k.assign(total, k.add(total, sum));
    },
    32,
  );
  return total;
}
