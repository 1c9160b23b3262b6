import type { I32, Pointer, VectorBuilder } from '../../codegen/vector.js';
import { typedKernel } from '../typed-kernel.js';
import { eachVector } from '../lanes.js';

/** Taps and rows that are summed together: 16 products of 4 + 7 loads. */
const TILE = 4;

/**
 * The gradient of the weights in parts: `out[m, c, t] = Σ_{i in chunk c} ⟨d[m, i], x[m, i + t − (taps − 1)/2]⟩`, rows of x outside
 * of 0 … n−1 left out. Tasks are matrices × chunks of rows.
 */
export const convolveWeightsKernel = typedKernel({
  name: 'convolve weights',
  key: () => '',
  parameters: {
    x: 'pointer',
    d: 'pointer',
    out: 'pointer',
    n: 'i32',
    columns: 'i32',
    taps: 'i32',
    rows: 'i32',
    chunks: 'i32',
  },
  text: (k, _: undefined, p) =>
    k.loop(k.begin, k.end, (task) => {
      const matrix = k.div(task, p.chunks);
      const first = k.mul(k.rem(task, p.chunks), p.rows);
      const last = k.min(k.add(first, p.rows), p.n);
      const base = k.mul(k.mul(matrix, p.n), p.columns);
      const reach = k.shrUnsigned(p.taps, 1);
      const sides: Sides = { d: k.offset(p.d, base, 4), x: k.offset(p.x, base, 4), columns: p.columns };
      const out = k.offset(p.out, k.mul(task, p.taps), 4);
      // rows of x where row 0 of d meets tap 0
      const shift = k.sub(k.constant('i32', 0), reach);
      const inside = k.and(k.ge(first, reach), k.le(k.add(last, reach), p.n));
      const tiles = k.select(inside, k.and(p.taps, -TILE), k.constant('i32', 0));
      k.loop(0, tiles, (t) => correlate(k, sides, first, last, k.add(shift, t), TILE, k.offset(out, t, 4)), TILE);
      k.loop(tiles, p.taps, (t) => {
        const by = k.add(shift, t);
        const [begin, end] = [k.max(first, k.sub(k.constant('i32', 0), by)), k.min(last, k.sub(p.n, by))];
        correlate(k, sides, begin, end, by, 1, k.offset(out, t, 4));
      });
    }),
});

interface Sides {
  readonly d: Pointer;
  readonly x: Pointer;
  readonly columns: I32;
}

/** `out[t] = Σ_{begin ≤ i < end} ⟨d[i], x[i + by + t]⟩` for t < taps. */
function correlate(
  k: VectorBuilder,
  { d, x, columns }: Sides,
  begin: I32,
  end: I32,
  by: I32,
  taps: number,
  out: Pointer,
): void {
  const totals = Array.from({ length: taps }, () => k.variable('vf', 0));
  const step = k.shl(columns, 2);
  eachVector(k, k.constant('i32', 0), columns, (column, count) => {
    const sums = Array.from({ length: taps }, () => k.variable('vf', 0));
    const left = k.variable('pointer', k.offset(d, k.add(k.mul(begin, columns), column), 4));
    const right = k.variable('pointer', k.offset(x, k.add(k.mul(k.add(begin, by), columns), column), 4));
    const rows = (number: number): void => {
      const [ls, rs] = [load(k, left, step, number, count), load(k, right, step, number + taps - 1, count)];
      ls.forEach((l, i) => sums.forEach((sum, t) => k.assign(sum, k.fma(l, rs[i + t]!, sum))));
      k.assign(left, k.offset(left, step, number));
      k.assign(right, k.offset(right, step, number));
    };
    const whole = k.add(begin, k.and(k.max(k.sub(end, begin), 0), -TILE));
    k.loop(begin, whole, () => rows(TILE), TILE);
    k.loop(whole, end, () => rows(1));
    totals.forEach((total, t) => k.assign(total, k.add(total, sums[t]!)));
  });
  totals.forEach((total, t) => k.store(out, k.reduceAdd(total), 4 * t));
}

function load(k: VectorBuilder, from: Pointer, step: I32, rows: number, count?: I32): ReturnType<typeof k.loadVF>[] {
  let at = from;
  return Array.from({ length: rows }, (_, row) => {
    if (row > 0) at = k.offset(at, step);
    return k.loadVF(at, 0, count);
  });
}
