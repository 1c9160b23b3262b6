import type { I32, Pointer, VectorBuilder, VI } from '../../codegen/vector.js';
import { accumulators, multiplyTile, rowGroups, type Operand } from '../tile.js';
import type { AttendTiles } from './layout.js';
import type { Transposed } from './panel.js';
import { flagCount, type AttendSpec } from './spec.js';

/** Kinds of a run of key tiles in a tile map. */
export const PARTIAL = 1;

/** Calls `body` for every step of keys a row of the tile map visits, restricted to key blocks `first … last-1`. */
export function forEachKeyTile(
  k: VectorBuilder,
  t: AttendTiles,
  map: { readonly rowOffsets: Pointer; readonly runs: Pointer; readonly row: I32; readonly S: I32 },
  range: { readonly first: I32; readonly last: I32 } | undefined,
  body: (k0: I32, count: I32, partial: I32) => void,
): void {
  const offsets = k.offset(map.rowOffsets, map.row, 4);
  k.loop(k.loadI32(offsets), k.loadI32(offsets, 4), (r) => {
    const run = k.offset(map.runs, r, 12);
    const start = k.loadI32(run);
    const end = k.loadI32(run, 4);
    const partial = k.eq(k.loadI32(run, 8), PARTIAL);
    const from = k.mul(range ? k.max(start, range.first) : start, t.keyBlock);
    const to = k.min(k.mul(range ? k.min(end, range.last) : end, t.keyBlock), map.S);
    k.loop(from, to, (k0) => body(k0, k.min(k.sub(to, k0), t.keyTile), partial), t.keyTile);
  });
}

/** `out[r][lanes] = Σ_c rows[r][c] · panel[c][lanes]` for `count` rows: scores of keys (or values) against a panel. */
export function rowsTimesPanel(
  k: VectorBuilder,
  t: AttendTiles,
  x: {
    readonly rows: Pointer;
    readonly pitch: number;
    readonly columns: number;
    readonly panel: Pointer;
    readonly out: Pointer;
    readonly count: I32;
    /** Called before the products of `rows` rows from `first`: what comes later may be fetched meanwhile. */
    readonly ahead?: (first: I32, rows: number) => void;
  },
): void {
  rowGroups(k, x.count, t.rows, (first, rows) => {
    x.ahead?.(first, rows);
    const c = accumulators(k, rows, t.vectors);
    const a = { pointer: k.offset(x.rows, first, x.pitch), step: 4, stride: x.pitch };
    multiplyTile(k, c, a, { pointer: x.panel, step: 4 * t.panel, stride: 4 * k.width }, x.columns);
    const to = k.offset(x.out, first, 4 * t.panel);
    c.forEach((row, r) => row.forEach((sum, v) => k.store(to, sum, 4 * (r * t.panel + v * k.width))));
  });
}

/** `out[r][…] += Σ_i a(i, r) · b(i, …)` for `count` rows of `vectors` vectors each, `out` rows `pitch` bytes apart. */
export function accumulate(
  k: VectorBuilder,
  t: AttendTiles,
  x: {
    readonly out: Pointer;
    readonly pitch: number;
    readonly count: number | I32;
    readonly vectors: number;
    readonly a: Operand;
    readonly b: Operand;
    readonly depth: I32;
    /** Which operand holds weights, and whether NaN must not leak through those that are 0. */
    readonly weights: 'a' | 'b';
    readonly careful: I32 | undefined;
  },
): void {
  // the careful product is rare: one row at a time keeps its code small
  const columns = (firstVector: I32, vectors: number, skipZeros?: 'a' | 'b'): void =>
    rowGroups(k, x.count, skipZeros ? 1 : t.rows, (first, rows) => {
      const to = k.offset(k.offset(x.out, first, x.pitch), firstVector, 4 * k.width);
      const c = accumulators(k, rows, vectors, (r, v) => k.loadVF(to, r * x.pitch + 4 * v * k.width));
      const a = { ...x.a, pointer: k.offset(x.a.pointer, first, x.a.stride) };
      const b = { ...x.b, pointer: k.offset(x.b.pointer, firstVector, 4 * k.width) };
      multiplyTile(k, c, a, b, x.depth, skipZeros);
      c.forEach((row, r) => row.forEach((sum, v) => k.store(to, sum, r * x.pitch + 4 * v * k.width)));
    });
  const all = (skipZeros?: 'a' | 'b'): void =>
    rowGroupsOfVectors(k, x.vectors, t.vectors, (first, vectors) => columns(first, vectors, skipZeros));
  if (x.careful)
    k.if(
      x.careful,
      () => all(x.weights),
      () => all(),
    );
  else all();
}

function rowGroupsOfVectors(
  k: VectorBuilder,
  count: number,
  group: number,
  body: (first: I32, vectors: number) => void,
): void {
  const whole = count - (count % group);
  if (whole > 0) k.loop(0, whole, (first) => body(first, group), group);
  if (count > whole) body(k.constant('i32', whole), count - whole);
}

/** The positions of a panel's queries in the keys' numbering, one vector each; queries past the last repeat it. */
export function queryPositions(
  k: VectorBuilder,
  t: AttendTiles,
  x: { readonly firstQuery: I32; readonly L: I32; readonly S: I32 },
): readonly VI[] {
  const shift = k.sub(x.S, x.L);
  const last = k.splat(k.sub(x.S, 1));
  return Array.from({ length: t.vectors }, (_, v) =>
    k.min(k.add(k.iota(), k.splat(k.add(k.add(x.firstQuery, shift), v * k.width))), last),
  );
}

/** What a task of queries works on: its residue class, and lengths and addresses within it. */
export interface Rows {
  readonly L: I32;
  readonly S: I32;
  /** First row of a head in the class, and the bytes between rows, for a tensor of `columns` columns. */
  readonly start: (base: Pointer, head: I32, length: I32, columns: number) => Pointer;
  readonly pitch: (columns: number) => number;
  /** The rows of one tile of queries, as `pack` and `unpack` take them. */
  readonly tile: (head: I32, q0: I32, size: number) => (base: Pointer, columns: number) => Omit<Transposed, 'panels'>;
}

export function rowsOfClass(k: VectorBuilder, period: number, residue: I32, queries: I32, keys: I32): Rows {
  const inClass = (length: I32): I32 =>
    period === 1 ? length : k.div(k.add(k.sub(length, residue), period - 1), period);
  const L = inClass(queries);
  const start: Rows['start'] = (base, head, length, columns) =>
    k.offset(k.offset(base, k.mul(head, length), 4 * columns), residue, 4 * columns);
  const pitch = (columns: number): number => 4 * columns * period;
  return {
    L,
    S: inClass(keys),
    start,
    pitch,
    tile: (head, q0, size) => {
      const valid = k.min(k.sub(L, q0), size);
      return (base, columns) => ({
        rows: k.offset(start(base, head, queries, columns), q0, pitch(columns)),
        columns,
        pitch: pitch(columns),
        valid,
      });
    },
  };
}

/**
 * Whether a step must skip weights of 0, so that NaN and Inf do not leak through hidden pairs: where an input holds any, and
 * the mask (in partial tiles) or the score (anywhere) hides pairs. undefined where nothing is ever hidden.
 */
export function guardOf(k: VectorBuilder, spec: AttendSpec, flags: Pointer): ((partial: I32) => I32) | undefined {
  if (!spec.mask && !spec.hides) return undefined;
  const found = k.variable('i32', 0);
  k.loop(0, flagCount, (i) => k.assign(found, k.or(found, k.loadI32(k.offset(flags, i, 4)))));
  return (partial) => (spec.hides ? found : k.and(found, partial));
}
