import type { F32, I32, Pointer, VectorBuilder } from '../../codegen/vector.js';
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

function forEachRow(
  k: VectorBuilder,
  t: AttendTiles,
  x: Transposed,
  body: (row: I32, lanes: Pointer, source: Pointer) => void,
): void {
  k.loop(0, t.panels, (p) => {
    const lines = k.offset(x.panels, p, 4 * t.panel * x.columns);
    k.loop(0, t.panel, (r) => {
      const row = k.add(k.mul(p, t.panel), r);
      body(row, k.offset(lines, r, 4), k.offset(x.rows, row, x.pitch));
    });
  });
}

/** Copies rows into panels, times `factor`. */
export function pack(k: VectorBuilder, t: AttendTiles, x: Transposed, factor?: F32): void {
  const zero = k.constant('f32', 0);
  forEachRow(k, t, x, (row, lanes, source) => {
    const copy = (value: (c: I32) => F32): void =>
      k.loop(0, x.columns, (c) => k.store(k.offset(lanes, c, 4 * t.panel), value(c)));
    const load = (c: I32): F32 => k.loadF32(k.offset(source, c, 4));
    k.if(
      k.lt(row, x.valid),
      () => copy(factor ? (c) => k.mul(load(c), factor) : load),
      () => copy(() => zero),
    );
  });
}

/** Writes the existing rows back: `combine(from the panel, at the row)`. */
export function unpack(
  k: VectorBuilder,
  t: AttendTiles,
  x: Transposed,
  combine: (value: F32, target: Pointer) => F32 = (value) => value,
): void {
  forEachRow(k, t, x, (row, lanes, source) => {
    k.if(k.lt(row, x.valid), () =>
      k.loop(0, x.columns, (c) => {
        const target = k.offset(source, c, 4);
        k.store(target, combine(k.loadF32(k.offset(lanes, c, 4 * t.panel)), target));
      }),
    );
  });
}

/** Fills `bytes` (a multiple of a vector) with one value. */
export function fill(k: VectorBuilder, to: Pointer, bytes: number | I32, value: number): void {
  const vector = k.constant('vf', value);
  const count = typeof bytes === 'number' ? bytes / (4 * k.width) : k.div(bytes, 4 * k.width);
  k.loop(0, count, (i) => k.store(k.offset(to, i, 4 * k.width), vector));
}
