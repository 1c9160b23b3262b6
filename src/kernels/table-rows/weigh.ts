import type { I32, Pointer, VectorBuilder } from '../../codegen/vector.js';
import { eachVector } from '../lanes.js';
import { typedKernel, type Read } from '../typed-kernel.js';

/** Vectors of columns that are summed in registers. */
const TILE = 8;

const names = {
  table: 'pointer',
  indices: 'pointer',
  weights: 'pointer',
  out: 'pointer',
  /** Of segments: where each begins among the entries, and the entries in order. */
  starts: 'pointer',
  order: 'pointer',
  rows: 'i32',
  columns: 'i32',
  /** Entries of a row of indices and weights. */
  count: 'i32',
  rowsPerTask: 'i32',
} as const;

interface Spec {
  /** Sums of segments of sorted entries: the gradient of the table. Else of the rows of indices. */
  readonly segments: boolean;
  readonly weighted: boolean;
}

/**
 * `out[r] = Σ_j weights[r, j]·table[indices[r, j]]`; of segments, `out[s] = Σ_e weights[e]·table[⌊e / count⌋]` over the entries e of segment
 * s in their order, zeros where it has none. Tasks are groups of rows.
 */
export const weighKernel = typedKernel({
  name: 'weigh rows',
  key: ({ segments, weighted }: Spec) => `${segments ? 'segments' : ''}${weighted ? ' weighted' : ''}`,
  parameters: names,
  text: (k, spec, p) =>
    k.loop(k.begin, k.end, (task) => {
      const first = k.mul(task, p.rowsPerTask);
      k.loop(first, k.min(k.add(first, p.rowsPerTask), p.rows), (row) => {
        const begin = spec.segments ? k.loadI32(k.offset(p.starts, row, 4)) : k.mul(row, p.count);
        const end = spec.segments ? k.loadI32(k.offset(p.starts, row, 4), 4) : k.add(begin, p.count);
        const out = k.offset(p.out, k.mul(row, p.columns), 4);
        const wide = TILE * k.width;
        const whole = k.sub(p.columns, k.rem(p.columns, wide));
        k.loop(0, whole, (column) => sumTile(k, spec, p, { begin, end, out, column, vectors: TILE }), wide);
        eachVector(k, whole, p.columns, (column, count) =>
          sumTile(k, spec, p, { begin, end, out, column, vectors: 1, count }),
        );
      });
    }),
});

interface Tile {
  readonly begin: I32;
  readonly end: I32;
  readonly out: Pointer;
  readonly column: I32;
  readonly vectors: number;
  readonly count?: I32 | undefined;
}

function sumTile(
  k: VectorBuilder,
  { segments, weighted }: Spec,
  p: Read<typeof names>,
  { begin, end, out, column, vectors, count }: Tile,
): void {
  const sums = Array.from({ length: vectors }, () => k.variable('vf', 0));
  const table = k.offset(p.table, column, 4);
  k.loop(begin, end, (i) => {
    const entry = segments ? k.loadI32(k.offset(p.order, i, 4)) : i;
    const index = segments ? k.div(entry, p.count) : k.loadI32(k.offset(p.indices, i, 4));
    const from = k.offset(table, k.mul(index, p.columns), 4);
    const weight = weighted ? k.loadSplat(k.offset(p.weights, entry, 4)) : undefined;
    sums.forEach((sum, v) => {
      const value = k.loadVF(from, 4 * k.width * v, count);
      k.assign(sum, weight ? k.fma(weight, value, sum) : k.add(sum, value));
    });
  });
  sums.forEach((sum, v) => k.store(k.offset(out, column, 4), sum, 4 * k.width * v, count));
}
