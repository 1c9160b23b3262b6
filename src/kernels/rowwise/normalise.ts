import type { F32, I32, Pointer, VectorBuilder, VF } from '../../codegen/vector.js';
import { bytesPerElement, type Dtype } from '../../core/dtype.js';
import { loadFloats, storeLanes } from '../cast/convert.js';
import type { Kernel } from '../../codegen/kernel.js';
import { parameterList } from '../parameters.js';
import { eachVector, firstLanes, sumVectors } from '../lanes.js';

/** Which of `y = (x − mean)·rstd·weight + bias` there is; without `centre` the mean is 0 and rstd is of the squares. */
export interface Normalise {
  readonly centre: boolean;
  /** Dtype of the weight and the bias, where there is one. */
  readonly weight: Dtype | undefined;
  readonly bias: Dtype | undefined;
  readonly x: Dtype;
  readonly y: Dtype;
}

const keyOf = (spec: Normalise): string =>
  [spec.centre ? 'centre' : 'plain', spec.x, spec.y, spec.weight ?? '-', spec.bias ?? '-'].join(' ');

/** `statistics` is `[rows, 2]`: mean and 1/deviation of every row. Tasks are groups of `perTask` rows. */
export const normaliseParameters = parameterList({
  x: 'pointer',
  weight: 'pointer',
  bias: 'pointer',
  y: 'pointer',
  statistics: 'pointer',
  rows: 'i32',
  length: 'i32',
  perTask: 'i32',
  epsilon: 'f32',
});

export function normaliseForward(spec: Normalise): Kernel {
  return { name: 'normalise', key: keyOf(spec), parameters: normaliseParameters.kinds, cpu: (k) => forward(k, spec) };
}

type Load = (at: I32, count?: I32) => VF;

/** Vectors of a row, and of the weights that every row shares. */
function loader(k: VectorBuilder, dtype: Dtype, from: Pointer): Load {
  return (at, count) => loadFloats(k, dtype, k.offset(from, at, bytesPerElement[dtype]), 0, count);
}

function eachRow(k: VectorBuilder, rows: I32, perTask: I32, body: (row: I32) => void): void {
  k.loop(k.begin, k.end, (task) => {
    const first = k.mul(task, perTask);
    k.loop(first, k.min(k.add(first, perTask), rows), body);
  });
}

function forward(k: VectorBuilder, spec: Normalise): void {
  const p = normaliseParameters.read(k);
  const zero = k.constant('i32', 0);
  const n = k.toFloat(p.length);
  const weight = spec.weight && loader(k, spec.weight, p.weight);
  const bias = spec.bias && loader(k, spec.bias, p.bias);
  eachRow(k, p.rows, p.perTask, (row) => {
    const start = k.mul(row, p.length);
    const x = loader(k, spec.x, k.offset(p.x, start, bytesPerElement[spec.x]));
    const mean: F32 = spec.centre ? k.div(sumVectors(k, zero, p.length, x), n) : k.constant('f32', 0);
    const middle = k.splat(mean);
    // the deviation from the mean itself, not Σx² − (Σx)²/n, which cancels
    const centred: Load = (at, count) =>
      spec.centre ? firstLanes(k, k.sub(x(at, count), middle), count, 0) : x(at, count);
    const squares = sumVectors(k, zero, p.length, (at, count) => {
      const c = centred(at, count);
      return k.mul(c, c);
    });
    const rstd = k.div(k.constant('f32', 1), k.sqrt(k.add(k.div(squares, n), p.epsilon)));
    const statistics = k.offset(p.statistics, row, 8);
    k.store(statistics, mean);
    k.store(statistics, rstd, 4);
    const scale = k.splat(rstd);
    const to = k.offset(p.y, start, bytesPerElement[spec.y]);
    eachVector(k, zero, p.length, (at, count) => {
      let y = k.mul(k.sub(x(at, count), middle), scale);
      if (weight) y = k.mul(y, weight(at, count));
      if (bias) y = k.add(y, bias(at, count));
      storeLanes(k, spec.y, k.offset(to, at, bytesPerElement[spec.y]), y, 0, count);
    });
  });
}

export const normaliseBackwardParameters = parameterList({
  x: 'pointer',
  weight: 'pointer',
  statistics: 'pointer',
  dy: 'pointer',
  dx: 'pointer',
  rows: 'i32',
  length: 'i32',
  perTask: 'i32',
});

/** `dx = rstd·(g − mean(g) − x̂·mean(g·x̂))` with `g = dy·weight`; without `centre`, no mean(g). */
export function normaliseBackward(spec: Normalise): Kernel {
  return {
    name: 'normalise backward',
    key: keyOf({ ...spec, bias: undefined, y: 'f32' }),
    parameters: normaliseBackwardParameters.kinds,
    cpu: (k) => backward(k, spec),
  };
}

function backward(k: VectorBuilder, spec: Normalise): void {
  const p = normaliseBackwardParameters.read(k);
  const zero = k.constant('i32', 0);
  const n = k.toFloat(p.length);
  const weight = spec.weight && loader(k, spec.weight, p.weight);
  eachRow(k, p.rows, p.perTask, (row) => {
    const start = k.mul(row, p.length);
    const x = loader(k, spec.x, k.offset(p.x, start, bytesPerElement[spec.x]));
    const dy = loader(k, 'f32', k.offset(p.dy, start, 4));
    const statistics = k.offset(p.statistics, row, 8);
    const [mean, rstd] = [k.loadSplat(statistics), k.loadSplat(statistics, 4)];
    const normal: Load = (at, count) => k.mul(k.sub(x(at, count), mean), rstd);
    // 0 past the end of a row, as dy is
    const g: Load = (at, count) => (weight ? k.mul(dy(at, count), weight(at, count)) : dy(at, count));
    const along = k.splat(
      k.div(
        sumVectors(k, zero, p.length, (at, count) => k.mul(g(at, count), normal(at, count))),
        n,
      ),
    );
    const level = spec.centre ? k.splat(k.div(sumVectors(k, zero, p.length, g), n)) : undefined;
    const to = k.offset(p.dx, start, 4);
    eachVector(k, zero, p.length, (at, count) => {
      const rest = k.sub(g(at, count), k.mul(normal(at, count), along));
      k.store(k.offset(to, at, 4), k.mul(level ? k.sub(rest, level) : rest, rstd), 0, count);
    });
  });
}

export const normaliseWeightsParameters = parameterList({
  x: 'pointer',
  statistics: 'pointer',
  dy: 'pointer',
  dweight: 'pointer',
  dbias: 'pointer',
  rows: 'i32',
  length: 'i32',
  /** Rows that one task adds up; task t writes row t of `dweight` and `dbias`, `[tasks, length]`. */
  perTask: 'i32',
});

/** `dweight[t] = Σ dy·x̂` and `dbias[t] = Σ dy` over the rows of task t. */
export function normaliseWeights(spec: Normalise): Kernel {
  return {
    name: 'normalise weights',
    key: keyOf({ ...spec, centre: true, y: 'f32', weight: spec.weight && 'f32', bias: spec.bias && 'f32' }),
    parameters: normaliseWeightsParameters.kinds,
    cpu: (k) => weights(k, spec),
  };
}

function weights(k: VectorBuilder, spec: Normalise): void {
  const p = normaliseWeightsParameters.read(k);
  const zero = k.constant('i32', 0);
  const size = bytesPerElement[spec.x];
  k.loop(k.begin, k.end, (task) => {
    const first = k.mul(task, p.perTask);
    const last = k.min(k.add(first, p.perTask), p.rows);
    eachVector(k, zero, p.length, (at, count) => {
      const [dweight, dbias] = [k.variable('vf', 0), k.variable('vf', 0)];
      const [x, dy] = [k.offset(p.x, at, size), k.offset(p.dy, at, 4)];
      k.loop(first, last, (row) => {
        const d = k.loadVF(k.offset(dy, k.mul(row, p.length), 4), 0, count);
        const statistics = k.offset(p.statistics, row, 8);
        const value = loadFloats(k, spec.x, k.offset(x, k.mul(row, p.length), size), 0, count);
        const normal = k.mul(k.sub(value, k.loadSplat(statistics)), k.loadSplat(statistics, 4));
        if (spec.weight) k.assign(dweight, k.fma(d, normal, dweight));
        if (spec.bias) k.assign(dbias, k.add(dbias, d));
      });
      const to = k.add(k.mul(task, p.length), at);
      if (spec.weight) k.store(k.offset(p.dweight, to, 4), dweight, 0, count);
      if (spec.bias) k.store(k.offset(p.dbias, to, 4), dbias, 0, count);
    });
  });
}
