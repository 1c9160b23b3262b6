import { compile, type Expression } from '../../src/codegen/expression/index.js';
import type { AttendShape, TileMap, TileOptions } from '../../src/masks/index.js';
import { EMPTY, FULL, PARTIAL, tileClass } from '../../src/masks/index.js';

/** Is the pair allowed? By evaluating the expression, with q from the row. */
export function predicate(
  expression: Expression,
  shape: { L: number; S: number },
): (b: number, h: number, i: number, k: number) => boolean {
  const holds = compile(expression, ['b', 'h', 'q', 'k']);
  return (b, h, i, k) => holds(b, h, i + shape.S - shape.L, k) === 1;
}

export function countByHand(
  shape: AttendShape,
  allowed: (b: number, h: number, i: number, k: number) => boolean,
): number {
  let count = 0;
  for (let b = 0; b < shape.B; b++)
    for (let h = 0; h < shape.H; h++)
      for (let i = 0; i < shape.L; i++) for (let k = 0; k < shape.S; k++) count += Number(allowed(b, h, i, k));
  return count;
}

/** The true kind of every tile of one head: row-major, by looking at every pair. */
export function kindsByHand(o: TileOptions, allowed: (i: number, k: number) => boolean): Uint8Array {
  const [rows, columns] = [Math.ceil(o.L / o.queryTile), Math.ceil(o.S / o.keyTile)];
  const kinds = new Uint8Array(rows * columns);
  for (let tile = 0; tile < kinds.length; tile++) {
    const [i0, k0] = [Math.floor(tile / columns) * o.queryTile, (tile % columns) * o.keyTile];
    let [some, all] = [false, true];
    for (let i = i0; i < Math.min(o.L, i0 + o.queryTile); i++) {
      for (let k = k0; k < Math.min(o.S, k0 + o.keyTile); k++) {
        if (allowed(i, k)) some = true;
        else all = false;
      }
    }
    kinds[tile] = all ? FULL : some ? PARTIAL : EMPTY;
  }
  return kinds;
}

/** The kinds a map states for one head. */
export function kindsOf(map: TileMap, H: number, b: number, h: number): Uint8Array {
  const kinds = new Uint8Array(map.rows * map.columns);
  const first = tileClass(map, H, b, h) * map.rows;
  for (let row = 0; row < map.rows; row++) {
    for (let run = map.rowOffsets[first + row]!; run < map.rowOffsets[first + row + 1]!; run++) {
      const [start, end, kind] = map.runs.subarray(3 * run, 3 * run + 3);
      kinds.fill(kind!, row * map.columns + start!, row * map.columns + end!);
    }
  }
  return kinds;
}
