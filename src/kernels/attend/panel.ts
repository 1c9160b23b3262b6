import type { F32, I32, Pointer, VectorBuilder } from '../../codegen/vector.js';
import { eachColumn, writeColumns } from '../transpose.js';
import type { AttendTiles } from './layout.js';

/** Rows of a tensor seen as columns of panels: element (row, c) lies at panel ⌊row/panel⌋, line c, lane row mod panel. */
export interface Transposed {
  readonly rows: Pointer;
  readonly columns: number;
  /** Bytes from one row to the next. */
  readonly pitch: number;
  readonly panels: Pointer;
  /** Rows that exist; those up to the end of the tile are zero. */
  readonly valid: I32;
}

/**
 * Visits a tile of rows by vectors of `width` rows: `whole(first row, its lanes in line 0)` where all of them exist, else
 * `single` for each row.
 */
function forEachVector(
  k: VectorBuilder,
  t: AttendTiles,
  x: Transposed,
  whole: (source: Pointer, lanes: Pointer) => void,
  single: (row: I32, source: Pointer, lanes: Pointer) => void,
): void {
  const { width } = k;
  k.loop(0, t.panels, (p) => {
    const lines = k.offset(x.panels, p, 4 * t.panel * x.columns);
    k.loop(
      0,
      t.panel,
      (first) => {
        const row = k.add(k.mul(p, t.panel), first);
        const at = (r: I32): readonly [Pointer, Pointer] => [
          k.offset(x.rows, k.add(row, r), x.pitch),
          k.offset(lines, k.add(first, r), 4),
        ];
        const none = k.constant('i32', 0);
        k.if(
          k.le(k.add(row, width), x.valid),
          () => whole(...at(none)),
          () => k.loop(0, width, (r) => single(k.add(row, r), ...at(r))),
        );
      },
      width,
    );
  });
}

/** Copies rows into panels, times `factor`. */
export function pack(k: VectorBuilder, t: AttendTiles, x: Transposed, factor?: F32): void {
  const zero = k.constant('f32', 0);
  const linePitch = 4 * t.panel;
  forEachVector(
    k,
    t,
    x,
    (source, lanes) =>
      eachColumn(k, { ...x, rows: source }, (c, i, value) =>
        k.store(k.offset(lanes, c, linePitch), factor ? k.mul(value, k.splat(factor)) : value, i * linePitch),
      ),
    (row, source, lanes) => {
      const copy = (value: (c: I32) => F32): void =>
        k.loop(0, x.columns, (c) => k.store(k.offset(lanes, c, linePitch), value(c)));
      const load = (c: I32): F32 => k.loadF32(k.offset(source, c, 4));
      k.if(
        k.lt(row, x.valid),
        () => copy(factor ? (c) => k.mul(load(c), factor) : load),
        () => copy(() => zero),
      );
    },
  );
}

/** Writes the existing rows back; with `addScaled`, adds `addScaled · value` to what is there. */
export function unpack(k: VectorBuilder, t: AttendTiles, x: Transposed, addScaled?: F32): void {
  const linePitch = 4 * t.panel;
  forEachVector(
    k,
    t,
    x,
    (source, lanes) =>
      writeColumns(
        k,
        { ...x, rows: source },
        (c, i) => k.loadVF(k.offset(lanes, c, linePitch), i * linePitch),
        addScaled && ((value, old) => k.fma(value, k.splat(addScaled), old)),
      ),
    (row, source, lanes) =>
      k.if(k.lt(row, x.valid), () =>
        k.loop(0, x.columns, (c) => {
          const target = k.offset(source, c, 4);
          const value = k.loadF32(k.offset(lanes, c, linePitch));
          k.store(target, addScaled ? k.fma(value, addScaled, k.loadF32(target)) : value);
        }),
      ),
  );
}

const cacheLine = 64;

/** Fetches `count` rows ahead of their use: the caches' own prefetchers do not follow rows from page to page. */
export function prefetch(
  k: VectorBuilder,
  x: Pick<Transposed, 'rows' | 'pitch' | 'columns'>,
  first: I32,
  count: number,
  access: 'read' | 'write' = 'read',
): void {
  const from = k.offset(x.rows, first, x.pitch);
  for (let row = 0; row < count; row++)
    for (let at = 0; at < 4 * x.columns; at += cacheLine) k.prefetch(from, row * x.pitch + at, access);
}

/** Fills `bytes` (a multiple of a vector) with one value. */
export function fill(k: VectorBuilder, to: Pointer, bytes: number | I32, value: number): void {
  const vector = k.constant('vf', value);
  const count = typeof bytes === 'number' ? bytes / (4 * k.width) : k.div(bytes, 4 * k.width);
  k.loop(0, count, (i) => k.store(k.offset(to, i, 4 * k.width), vector));
}
