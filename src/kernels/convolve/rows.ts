import type { I32, Pointer, Variable, VectorBuilder } from '../../codegen/vector.js';
import { typedKernel, type Read } from '../typed-kernel.js';
import { eachVector } from '../lanes.js';

/** Rows of the result that are summed together: each row of x is then loaded once for all of them. */
export const ROWS = 4;

const names = {
  x: 'pointer',
  weights: 'pointer',
  out: 'pointer',
  heads: 'i32',
  n: 'i32',
  columns: 'i32',
  taps: 'i32',
  /** Rows of a task, and tasks of a matrix. */
  rows: 'i32',
  chunks: 'i32',
} as const;

interface Spec {
  /** The weights from the last to the first: the gradient of x. */
  readonly flipped: boolean;
}

/** `out[m, i] = Σ_t w[m mod heads, t]·x[m, i + t − (taps − 1)/2]`, rows outside of 0 … n−1 left out. Tasks are matrices × chunks of rows. */
export const convolveKernel = typedKernel({
  name: 'convolve',
  key: ({ flipped }: Spec) => (flipped ? 'flipped' : ''),
  parameters: names,
  text: (k, spec, p) =>
    k.loop(k.begin, k.end, (task) => {
      const matrix = k.div(task, p.chunks);
      const first = k.mul(k.rem(task, p.chunks), p.rows);
      const end = k.min(k.add(first, p.rows), p.n);
      const base = k.mul(k.mul(matrix, p.n), p.columns);
      const weights = k.offset(p.weights, k.mul(k.rem(matrix, p.heads), p.taps), 4);
      const reach = k.shrUnsigned(p.taps, 1);
      const place: Place = { x: k.offset(p.x, base, 4), out: k.offset(p.out, base, 4), weights, reach };
      const row = k.variable('i32', first);
      k.while(
        () => k.lt(row, end),
        () => {
          const inside = k.and(k.ge(row, reach), k.le(k.add(row, k.add(reach, ROWS)), p.n));
          const together = k.and(k.and(inside, k.le(k.add(row, ROWS), end)), k.ge(p.taps, ROWS));
          k.if(
            together,
            () => {
              inner(k, spec, p, place, row);
              k.assign(row, k.add(row, ROWS));
            },
            () => {
              edge(k, spec, p, place, row);
              k.assign(row, k.add(row, 1));
            },
          );
        },
      );
    }),
});

interface Place {
  readonly x: Pointer;
  readonly out: Pointer;
  readonly weights: Pointer;
  readonly reach: I32;
}

/** One row that may see the ends. */
function edge(k: VectorBuilder, { flipped }: Spec, p: Read<typeof names>, place: Place, row: I32): void {
  const start = k.sub(row, place.reach);
  const [first, last] = [k.max(k.sub(place.reach, row), 0), k.min(p.taps, k.sub(p.n, start))];
  eachVector(k, k.constant('i32', 0), p.columns, (column, count) => {
    const sum = k.variable('vf', 0);
    const x = k.offset(place.x, column, 4);
    k.loop(first, last, (t) => {
      const weight = k.loadSplat(k.offset(place.weights, flipped ? k.sub(k.sub(p.taps, 1), t) : t, 4));
      const value = k.loadVF(k.offset(x, k.mul(k.add(start, t), p.columns), 4), 0, count);
      k.assign(sum, k.fma(weight, value, sum));
    });
    k.store(k.offset(place.out, k.add(k.mul(row, p.columns), column), 4), sum, 0, count);
  });
}

/** `ROWS` rows that see whole windows. Row d of x, counted from the first they see, meets row r with tap d − r. */
function inner(k: VectorBuilder, spec: Spec, p: Read<typeof names>, place: Place, row: I32): void {
  const start = k.mul(k.sub(row, place.reach), p.columns);
  const step = k.shl(p.columns, 2);
  const tile = (column: I32, vectors: number, count?: I32): void => {
    const sums = Array.from({ length: ROWS }, () => Array.from({ length: vectors }, () => k.variable('vf', 0)));
    const x = k.variable('pointer', k.offset(place.x, k.add(start, column), 4));
    // weight[d − r] for the rows r of which the tap exists
    const meet = (weight: (r: number) => Pointer, rows: readonly number[]): void => {
      const values = Array.from({ length: vectors }, (_, v) => k.loadVF(x, 4 * k.width * v, count));
      for (const r of rows) {
        const factor = k.loadSplat(weight(r));
        sums[r]!.forEach((sum, v) => k.assign(sum, k.fma(factor, values[v]!, sum)));
      }
      k.assign(x, k.offset(x, step));
    };
    const tap = (t: I32): Pointer => k.offset(place.weights, spec.flipped ? k.sub(k.sub(p.taps, 1), t) : t, 4);
    const all = [...sums.keys()];
    for (let d = 0; d < ROWS - 1; d++) meet((r) => tap(k.constant('i32', d - r)), all.slice(0, d + 1));
    k.loop(ROWS - 1, p.taps, (d) => meet((r) => tap(k.sub(d, r)), all));
    for (let d = 0; d < ROWS - 1; d++) meet((r) => tap(k.sub(k.add(p.taps, d), r)), all.slice(d + 1));
    store(k, p, place, row, column, sums, count);
  };
  const pairs = k.and(p.columns, -2 * k.width);
  k.loop(0, pairs, (column) => tile(column, 2), 2 * k.width);
  eachVector(k, pairs, p.columns, (column, count) => tile(column, 1, count));
}

function store(
  k: VectorBuilder,
  p: Read<typeof names>,
  place: Place,
  row: I32,
  column: I32,
  sums: readonly (readonly Variable<'vf'>[])[],
  count?: I32,
): void {
  sums.forEach((vectors, r) => {
    const to = k.offset(place.out, k.add(k.mul(k.add(row, r), p.columns), column), 4);
    vectors.forEach((sum, v) => k.store(to, sum, 4 * k.width * v, count));
  });
}
