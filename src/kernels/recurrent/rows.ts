import type { I32, Pointer, VectorBuilder, VF } from '../../codegen/vector.js';
import { eachVector } from '../lanes.js';
import { vectorGroups } from '../linear-attend/state.js';
import { accumulators, multiplyTile, rowGroups, type Accumulators, type Operand } from '../tile.js';
import type { Rows, Workspace } from './spec.js';

/** Row r, which may be a number of the program. */
export const rowAt = (k: VectorBuilder, { pointer, pitch }: Rows, r: I32 | number): Pointer =>
  k.offset(pointer, r, 4 * pitch);

/** The decay of row m + r of the state over the whole step. */
export const total = (k: VectorBuilder, w: Workspace, m: I32, r: number) =>
  k.loadSplat(k.offset(w.total.pointer, m, 4), 4 * r);

/** Vectors of a row. */
export const vectorsOf = (k: VectorBuilder, { pitch }: Rows): number => pitch / k.width;

/** Fills rows `from … to − 1`. */
export function fillRows(k: VectorBuilder, to: Rows, from: I32, end: I32 | number, value: number): void {
  const filler = k.constant('vf', value);
  k.loop(from, end, (r) => k.loop(0, to.pitch, (i) => k.store(k.offset(rowAt(k, to, r), i, 4), filler), k.width));
}

/** Copies `count` rows of memory, `columns` wide, and fills the others up to `rows`. */
export function loadRows(
  k: VectorBuilder,
  from: Pointer,
  columns: number,
  to: Rows,
  [count, rows]: readonly [I32 | number, number],
  change: (x: VF) => VF = (x) => x,
  filler = 0,
): void {
  k.loop(0, count, (r) => {
    const [source, target] = [k.offset(from, r, 4 * columns), rowAt(k, to, r)];
    eachVector(k, k.constant('i32', 0), k.constant('i32', columns), (i, lanes) =>
      k.store(k.offset(target, i, 4), change(k.loadVF(k.offset(source, i, 4), 0, lanes))),
    );
  });
  if (typeof count !== 'number') fillRows(k, to, count, rows, filler);
}

/** Copies `count` rows to memory. */
export function storeRows(k: VectorBuilder, from: Rows, to: Pointer, columns: number, count: I32 | number): void {
  k.loop(0, count, (r) => {
    const [source, target] = [rowAt(k, from, r), k.offset(to, r, 4 * columns)];
    eachVector(k, k.constant('i32', 0), k.constant('i32', columns), (i, lanes) =>
      k.store(k.offset(target, i, 4), k.loadVF(k.offset(source, i, 4)), 0, lanes),
    );
  });
}

/** A factor of a product: element (k, i) of it at row k, or of its transpose. */
export const byRows = ({ pointer, pitch }: Rows): Operand => ({ pointer, step: 4, stride: 4 * pitch });
export const byColumns = ({ pointer, pitch }: Rows): Operand => ({ pointer, step: 4 * pitch, stride: 4 });

export interface Product {
  /** `[rows × depth]`, by `byRows` or, transposed, `byColumns`. */
  readonly a: Operand;
  /** `[depth × columns]` */
  readonly b: Rows;
  readonly depth: number;
}

/**
 * Tiles of `Σ products`, `[rows × columns]`, each handed to `take` with the place of its first element in `to`: `old(r, v)` loads what
 * stands there. Sums begin with 0, or with what `begin` makes of it.
 */
export function products(
  k: VectorBuilder,
  w: Workspace,
  to: Rows,
  rows: number,
  all: readonly Product[],
  take: (sum: VF, old: () => VF, row: I32, r: number) => VF = (sum) => sum,
  begin?: (old: VF, row: I32, r: number) => VF,
): void {
  rowGroups(k, rows, w.tile.rows, (row, count) =>
    vectorGroups(k, to.pitch, w.tile.vectors, (first, vectors) => {
      const target = k.offset(rowAt(k, to, row), first, 4 * k.width);
      const place = (r: number, v: number): number => 4 * (r * to.pitch + v * k.width);
      const c: Accumulators = accumulators(
        k,
        count,
        vectors,
        begin && ((r, v) => begin(k.loadVF(target, place(r, v)), row, r)),
      );
      for (const { a, b, depth } of all) {
        const left = { ...a, pointer: k.offset(a.pointer, row, a.stride) };
        const right = { pointer: k.offset(b.pointer, first, 4 * k.width), step: 4 * b.pitch, stride: 4 * k.width };
        multiplyTile(k, c, left, right, depth);
      }
      c.forEach((line, r) =>
        line.forEach((sum, v) => {
          const at = place(r, v);
          k.store(
            target,
            take(sum, () => k.loadVF(target, at), row, r),
            at,
          );
        }),
      );
    }),
  );
}

/** `Σ_i x_i · y_i` of two padded rows, for each of several pairs of rows at once. */
export function dots(k: VectorBuilder, vectors: number, pairs: readonly (readonly [Pointer, Pointer])[]) {
  const sums = pairs.map(() => k.variable('vf', 0));
  for (let i = 0; i < vectors; i++) {
    const at = 4 * i * k.width;
    pairs.forEach(([x, y], n) => k.assign(sums[n]!, k.fma(k.loadVF(x, at), k.loadVF(y, at), sums[n]!)));
  }
  return sums.map((sum) => k.reduceAdd(sum));
}
