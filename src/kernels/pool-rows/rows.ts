import type { I32, Pointer, VectorBuilder } from '../../codegen/vector.js';
import { typedKernel, type Read } from '../typed-kernel.js';
import { eachVector } from '../lanes.js';

/** Vectors of a row that are summed together. */
const TILE = 4;

interface Spec {
  /** From slots to rows, with the weights transposed: the gradient of x. */
  readonly transposed: boolean;
}

const names = {
  from: 'pointer',
  weights: 'pointer',
  out: 'pointer',
  heads: 'i32',
  /** Matrices of weights from one batch to the next, and from one head to the next: 0 where they are shared. */
  batchStep: 'i32',
  headStep: 'i32',
  n: 'i32',
  columns: 'i32',
  slots: 'i32',
  taps: 'i32',
  stride: 'i32',
  /** Rows of a task, and tasks of a matrix. */
  rows: 'i32',
  chunks: 'i32',
} as const;

type Parameters = Read<typeof names>;

/**
 * `out[m, p] = Σ_i w[m, p, i − p·stride]·from[m, i]` over the rows i < n that slot p sees; transposed, row i sums over the slots that
 * see it. Every row of the result sums its own terms in order. Tasks are matrices × chunks of rows of the result.
 */
export const poolRowsKernel = typedKernel({
  name: 'pool rows',
  key: ({ transposed }: Spec) => (transposed ? 'transposed' : ''),
  parameters: names,
  text: (k, { transposed }, p) => {
    const [sources, results] = transposed ? [p.slots, p.n] : [p.n, p.slots];
    k.loop(k.begin, k.end, (task) => {
      const matrix = k.div(task, p.chunks);
      const begin = k.mul(k.rem(task, p.chunks), p.rows);
      const weights = weightsOf(k, p, matrix);
      const from = k.offset(p.from, k.mul(k.mul(matrix, sources), p.columns), 4);
      const out = k.offset(p.out, k.mul(k.mul(matrix, results), p.columns), 4);
      k.loop(begin, k.min(k.add(begin, p.rows), results), (row) => {
        // the first row of `from`, how many from there on, and the tap at which the first is met
        const slot = transposed ? k.div(k.max(k.add(k.sub(row, p.taps), p.stride), 0), p.stride) : row;
        const start = k.mul(slot, p.stride);
        const first = transposed ? slot : start;
        const count = transposed ? k.sub(k.add(k.div(row, p.stride), 1), slot) : k.min(p.taps, k.sub(p.n, start));
        const tap = transposed ? k.sub(row, start) : k.constant('i32', 0);
        weightedSum(k, {
          weights: k.offset(weights, k.add(k.mul(slot, p.taps), tap), 4),
          step: transposed ? k.sub(p.taps, p.stride) : k.constant('i32', 1),
          from: k.offset(from, k.mul(first, p.columns), 4),
          count,
          columns: p.columns,
          out: k.offset(out, k.mul(row, p.columns), 4),
        });
      });
    });
  },
});

const weightsOf = (k: VectorBuilder, p: Parameters, matrix: I32): Pointer => {
  const [batch, head] = [k.div(matrix, p.heads), k.rem(matrix, p.heads)];
  const index = k.add(k.mul(batch, p.batchStep), k.mul(head, p.headStep));
  return k.offset(p.weights, k.mul(k.mul(index, p.slots), p.taps), 4);
};

interface Terms {
  readonly weights: Pointer;
  /** From one weight to the next. */
  readonly step: I32;
  readonly from: Pointer;
  readonly count: I32;
  readonly columns: I32;
  readonly out: Pointer;
}

/** `out = Σ_{i < count} weights[i·step]·from[i]`, a row of `columns`. */
function weightedSum(k: VectorBuilder, terms: Terms): void {
  const { columns } = terms;
  const [weightStep, rowStep] = [k.shl(terms.step, 2), k.shl(columns, 2)];
  const tile = (column: I32, vectors: number, count?: I32): void => {
    const sums = Array.from({ length: vectors }, () => k.variable('vf', 0));
    const weight = k.variable('pointer', terms.weights);
    const row = k.variable('pointer', k.offset(terms.from, column, 4));
    k.loop(0, terms.count, () => {
      const factor = k.loadSplat(weight);
      sums.forEach((sum, v) => k.assign(sum, k.fma(factor, k.loadVF(row, 4 * k.width * v, count), sum)));
      k.assign(weight, k.offset(weight, weightStep));
      k.assign(row, k.offset(row, rowStep));
    });
    const to = k.offset(terms.out, column, 4);
    sums.forEach((sum, v) => k.store(to, sum, 4 * k.width * v, count));
  };
  const tiles = k.and(columns, -TILE * k.width);
  k.loop(0, tiles, (column) => tile(column, TILE), TILE * k.width);
  eachVector(k, tiles, columns, (column, count) => tile(column, 1, count));
}
