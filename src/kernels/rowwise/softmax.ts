import { exp } from '../../codegen/math.js';
import type { I32, VectorBuilder, VF } from '../../codegen/vector.js';
import { bytesPerElement, type Dtype } from '../../core/dtype.js';
import { loadFloats, storeLanes } from '../cast/convert.js';
import type { Kernel } from '../../codegen/kernel.js';
import { parameterList } from '../parameters.js';
import { eachVector, firstLanes, sumVectors } from '../lanes.js';
import { columnShift, rowShift, sumSteps } from './reduce.js';

/** `out[r, n, k]` = softmax of `x[r, ·, k]`; a row of −∞ gives 0. The gradient reads `y = softmax(x)` and `dy`. */
export const softmaxParameters = parameterList({
  x: 'pointer',
  dy: 'pointer',
  out: 'pointer',
  rows: 'i32',
  length: 'i32',
  columns: 'i32',
  /** Rows of one task with `inner`; else columns. */
  perTask: 'i32',
});

type Load = (at: I32, count?: I32) => VF;
/** One line of `length` elements: how to read x and dy there, and how to write the result. */
interface Line {
  readonly x: Load;
  readonly dy: Load;
  readonly write: (at: I32, value: VF, count?: I32) => void;
  readonly length: I32;
}

export function softmax(direction: 'forward' | 'backward', inner: boolean, dtype: Dtype, out: Dtype): Kernel {
  return {
    name: `softmax ${direction}`,
    key: `${inner ? 'inner' : 'outer'} ${dtype} ${out}`,
    parameters: softmaxParameters.kinds,
    cpu: (k) => text(k, direction, inner, dtype, out),
  };
}

function text(k: VectorBuilder, direction: 'forward' | 'backward', inner: boolean, dtype: Dtype, out: Dtype): void {
  const p = softmaxParameters.read(k);
  const [size, outSize] = [bytesPerElement[dtype], bytesPerElement[out]];
  if (inner) {
    k.loop(k.begin, k.end, (task) => {
      const first = k.mul(task, p.perTask);
      k.loop(first, k.min(k.add(first, p.perTask), p.rows), (row) => {
        const start = k.mul(row, p.length);
        const [x, dy, to] = [k.offset(p.x, start, size), k.offset(p.dy, start, 4), k.offset(p.out, start, outSize)];
        (direction === 'forward' ? forwardRow : backwardRow)(k, {
          x: (at, count) => loadFloats(k, dtype, k.offset(x, at, size), 0, count),
          dy: (at, count) => k.loadVF(k.offset(dy, at, 4), 0, count),
          write: (at, value, count) => storeLanes(k, out, k.offset(to, at, outSize), value, 0, count),
          length: p.length,
        });
      });
    });
    return;
  }
  const groups = k.div(k.add(p.columns, k.sub(p.perTask, 1)), p.perTask);
  k.loop(k.begin, k.end, (task) => {
    const firstColumn = k.mul(k.rem(task, groups), p.perTask);
    const start = k.mul(k.mul(k.div(task, groups), p.length), p.columns);
    eachVector(k, firstColumn, k.min(k.add(firstColumn, p.perTask), p.columns), (column, count) => {
      const corner = k.add(start, column);
      const [x, dy, to] = [k.offset(p.x, corner, size), k.offset(p.dy, corner, 4), k.offset(p.out, corner, outSize)];
      (direction === 'forward' ? forwardColumn : backwardColumn)(k, {
        x: (n) => loadFloats(k, dtype, k.offset(x, k.mul(n, p.columns), size), 0, count),
        dy: (n) => k.loadVF(k.offset(dy, k.mul(n, p.columns), 4), 0, count),
        write: (n, value) => storeLanes(k, out, k.offset(to, k.mul(n, p.columns), outSize), value, 0, count),
        length: p.length,
      });
    });
  });
}

/** 1 / sum, or 0 for a row that nothing may see. */
const reciprocal = (k: VectorBuilder, sum: VF): VF =>
  k.select(k.eq(sum, 0), k.constant('vf', 0), k.div(k.constant('vf', 1), sum));

function forwardRow(k: VectorBuilder, { x, write, length }: Line): void {
  const zero = k.constant('i32', 0);
  const shift = k.splat(rowShift(k, x, zero, length));
  const weight: Load = (at, count) => exp(k, k.sub(firstLanes(k, x(at, count), count, -Infinity), shift));
  const scale = reciprocal(k, k.splat(sumVectors(k, zero, length, weight)));
  // exponentials twice: cheaper than memory for short rows, and right for narrow outputs
  eachVector(k, zero, length, (at, count) => write(at, k.mul(weight(at, count), scale), count));
}

function backwardRow(k: VectorBuilder, { x: y, dy, write, length }: Line): void {
  const zero = k.constant('i32', 0);
  const dot = k.splat(sumVectors(k, zero, length, (at, count) => k.mul(y(at, count), dy(at, count))));
  eachVector(k, zero, length, (at, count) => write(at, k.mul(y(at, count), k.sub(dy(at, count), dot)), count));
}

function forwardColumn(k: VectorBuilder, { x, write, length }: Line): void {
  const zero = k.constant('i32', 0);
  const shift = columnShift(k, x, zero, length);
  const weight: Load = (n) => exp(k, k.sub(x(n), shift));
  const scale = reciprocal(k, sumSteps(k, weight, zero, length));
  k.loop(0, length, (n) => write(n, k.mul(weight(n), scale)));
}

function backwardColumn(k: VectorBuilder, { x: y, dy, write, length }: Line): void {
  const dot = sumSteps(k, (n) => k.mul(y(n), dy(n)), k.constant('i32', 0), length);
  k.loop(0, length, (n) => write(n, k.mul(y(n), k.sub(dy(n), dot))));
}
