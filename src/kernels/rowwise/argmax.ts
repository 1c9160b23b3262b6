import type { I32, VectorBuilder, VF, VI } from '../../codegen/vector.js';
import { bytesPerElement, type Dtype } from '../../core/dtype.js';
import { loadFloats } from '../cast/convert.js';
import type { Kernel } from '../../codegen/kernel.js';
import { parameterList } from '../parameters.js';
import { eachVector, firstLanes } from '../lanes.js';

/** `out[r, k]` = the first n with the largest `x[r, n, k]`, as i32; the first NaN where there is one. */
export const argmaxParameters = parameterList({
  x: 'pointer',
  out: 'pointer',
  rows: 'i32',
  length: 'i32',
  columns: 'i32',
  /** Rows of one task with `inner`, else columns. */
  perTask: 'i32',
});

export function argmax(inner: boolean, dtype: Dtype): Kernel {
  return {
    name: 'argmax',
    vectorOn: inner ? 'invocation' : 'workgroup',
    key: `${inner ? 'inner' : 'outer'} ${dtype}`,
    parameters: argmaxParameters.kinds,
    cpu: (k) => (inner ? rowsText : columnsText)(k, dtype),
  };
}

/** Whether `value` replaces `best`: it is larger, or the first NaN. */
const replaces = (k: VectorBuilder, value: VF, best: VF): VI =>
  k.and(k.or(k.gt(value, best), k.ne(value, value)), k.eq(best, best));

function rowsText(k: VectorBuilder, dtype: Dtype): void {
  const p = argmaxParameters.read(k);
  const size = bytesPerElement[dtype];
  k.loop(k.begin, k.end, (task) => {
    const first = k.mul(task, p.perTask);
    k.loop(first, k.min(k.add(first, p.perTask), p.rows), (row) => {
      const from = k.offset(p.x, k.mul(row, p.length), size);
      // a lane that saw nothing larger than −∞ keeps its first index
      const best = k.variable('vf', -Infinity);
      const index = k.variable('vi', k.iota());
      eachVector(k, k.constant('i32', 0), p.length, (at, count) => {
        const value = firstLanes(k, loadFloats(k, dtype, k.offset(from, at, size), 0, count), count, -Infinity);
        const better = replaces(k, value, best);
        k.assign(index, k.select(better, k.add(k.iota(), k.splat(at)), index));
        k.assign(best, k.select(better, value, best));
      });
      k.store(k.offset(p.out, row, 4), firstOfBest(k, best, index));
    });
  });
}

/** The smallest index among the lanes that hold the largest value. */
function firstOfBest(k: VectorBuilder, best: VF, index: VI): I32 {
  let top = k.lane(best, 0);
  let at = k.lane(index, 0);
  for (let lane = 1; lane < k.width; lane++) {
    const [value, i] = [k.lane(best, lane), k.lane(index, lane)];
    const nan = k.ne(value, value);
    const topNan = k.ne(top, top);
    const larger = k.or(k.and(k.gt(value, top), k.xor(topNan, 1)), k.and(nan, k.xor(topNan, 1)));
    const equal = k.or(k.eq(value, top), k.and(nan, topNan));
    const better = k.or(larger, k.and(equal, k.lt(i, at)));
    top = k.select(better, value, top);
    at = k.select(better, i, at);
  }
  return at;
}

function columnsText(k: VectorBuilder, dtype: Dtype): void {
  const p = argmaxParameters.read(k);
  const size = bytesPerElement[dtype];
  const groups = k.div(k.add(p.columns, k.sub(p.perTask, 1)), p.perTask);
  k.loop(k.begin, k.end, (task) => {
    const firstColumn = k.mul(k.rem(task, groups), p.perTask);
    const row = k.div(task, groups);
    const from = k.offset(p.x, k.mul(k.mul(row, p.length), p.columns), size);
    eachVector(k, firstColumn, k.min(k.add(firstColumn, p.perTask), p.columns), (column, count) => {
      const base = k.offset(from, column, size);
      const best = k.variable('vf', -Infinity);
      const index = k.variable('vi', 0);
      k.loop(0, p.length, (n) => {
        const value = loadFloats(k, dtype, k.offset(base, k.mul(n, p.columns), size), 0, count);
        const better = replaces(k, value, best);
        k.assign(index, k.select(better, k.splat(n), index));
        k.assign(best, k.select(better, value, best));
      });
      k.store(k.offset(p.out, k.add(k.mul(row, p.columns), column), 4), index, 0, count);
    });
  });
}
