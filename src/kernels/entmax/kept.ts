import type { I32, Pointer, Variable, VectorBuilder, VF } from '../../codegen/vector.js';
import { eachVector } from '../lanes.js';
import type { AttendTiles } from '../attend/layout.js';

/** Bytes of one line: a number for each row of a panel. */
export const lineBytes = (t: AttendTiles): number => 4 * t.panel;

export const eachLane = <T>(k: VectorBuilder, t: AttendTiles, body: (at: number, v: number) => T): T[] =>
  Array.from({ length: t.vectors }, (_, v) => body(4 * v * k.width, v));

/** 1 unless no lane is above its limit; NaN is. */
export function anyAbove(k: VectorBuilder, values: readonly VF[], limits: readonly VF[]): I32 {
  const below = values.map((value, v) => k.le(value, limits[v]!)).reduce((a, b) => k.and(a, b));
  return k.any(k.xor(below, -1));
}

/** Lines that may still have a weight, in the order of their keys, one after the other, and the keys. */
export interface KeptLines {
  readonly lines: Pointer;
  readonly keys: Pointer;
  readonly count: Variable<'i32'>;
}

/** Writes a line, and keeps it if `keep` is 1: else the next one takes its place. No branch is taken. */
export function keepLine(
  k: VectorBuilder,
  t: AttendTiles,
  kept: KeptLines,
  x: { readonly values: readonly VF[]; readonly key: I32; readonly keep: I32 },
): void {
  const to = k.offset(kept.lines, kept.count, lineBytes(t));
  x.values.forEach((value, v) => k.store(to, value, 4 * v * k.width));
  k.store(k.offset(kept.keys, kept.count, 4), x.key);
  k.assign(kept.count, k.add(kept.count, x.keep));
}

/** Copies one row, times `factor`. */
export function copyRow(k: VectorBuilder, to: Pointer, from: Pointer, columns: number, factor?: VF): void {
  eachVector(k, k.constant('i32', 0), k.constant('i32', columns), (c, count) => {
    const value = k.loadVF(k.offset(from, c, 4), 0, count);
    k.store(k.offset(to, c, 4), factor ? k.mul(value, factor) : value, 0, count);
  });
}

/** Rows of a list of keys, one after the other. */
export function gatherRows(
  k: VectorBuilder,
  x: {
    readonly to: Pointer;
    readonly from: Pointer;
    readonly pitch: number;
    readonly columns: number;
    readonly keys: Pointer;
    readonly count: I32;
  },
): void {
  k.loop(0, x.count, (i) => {
    const key = k.loadI32(k.offset(x.keys, i, 4));
    copyRow(k, k.offset(x.to, i, 4 * x.columns), k.offset(x.from, key, x.pitch), x.columns);
  });
}
