import { boundLanes, type Bounds, type Expression } from '../codegen/expression/index.js';
import { fromKinds, PARTIAL, Runs } from './runs.js';
import { keyTiles, queryTiles, type Geometry, type Source } from './sources.js';

// tiles per side of a box that is tried at once, and boxes bounded in one go
const side = 16;
const batch = 4096;

/**
 * Any boolean of q, k and d: interval bounds over boxes of 16 × 16 tiles, then over the tiles of the boxes left open. A band
 * of 16 rows is worked out when its first row is asked for.
 */
export function boxSource(expression: Expression, g: Geometry): Source {
  const [rows, columns] = [queryTiles(g), keyTiles(g)];
  const band = new Uint8Array(side * columns);
  const out = new Runs();
  let known = -1;
  return {
    row(tile) {
      const wanted = Math.floor(tile / side);
      if (wanted !== known) {
        classifyBand(expression, g, wanted * side, Math.min(rows, (wanted + 1) * side), columns, band);
        known = wanted;
      }
      const start = (tile % side) * columns;
      return fromKinds(band.subarray(start, start + columns), out);
    },
  };
}

/** Writes the kinds of the tiles of rows firstRow…endRow−1 to `band`. */
function classifyBand(
  e: Expression,
  g: Geometry,
  firstRow: number,
  endRow: number,
  columns: number,
  band: Uint8Array,
): void {
  const open: number[] = [];
  const coarse = new Boxes(g, Math.ceil(columns / side));
  for (let j = 0; j < columns; j += side) coarse.add(firstRow, endRow, j, Math.min(columns, j + side));
  coarse.bound(e, (box, kind) => {
    const [start, end] = [box * side, Math.min(columns, (box + 1) * side)];
    if (kind === PARTIAL) open.push(box);
    else for (let row = 0; row < endRow - firstRow; row++) band.fill(kind, row * columns + start, row * columns + end);
  });
  const fine = new Boxes(g, batch);
  const places = new Int32Array(batch);
  const flush = (): void => fine.bound(e, (box, kind) => (band[places[box]!] = kind));
  for (const box of open) {
    for (let row = firstRow; row < endRow; row++) {
      for (let j = box * side; j < Math.min(columns, (box + 1) * side); j++) {
        places[fine.count] = (row - firstRow) * columns + j;
        fine.add(row, row + 1, j, j + 1);
        if (fine.count === batch) flush();
      }
    }
  }
  flush();
}

/** Boxes of tiles waiting to be bounded together. */
class Boxes {
  count = 0;
  readonly #g: Geometry;
  readonly #lanes: Readonly<Record<'q' | 'k' | 'd', Bounds>>;

  constructor(g: Geometry, capacity: number) {
    this.#g = g;
    const lanes = (): Bounds => ({ lo: new Float64Array(capacity), hi: new Float64Array(capacity) });
    this.#lanes = { q: lanes(), k: lanes(), d: lanes() };
  }

  add(row: number, endRow: number, column: number, endColumn: number): void {
    const { q, k, d } = this.#lanes;
    const { L, S, queryTile, keyTile, queryOffset } = this.#g;
    const i = this.count++;
    q.lo[i] = queryOffset + row * queryTile;
    q.hi[i] = queryOffset + Math.min(L, endRow * queryTile) - 1;
    k.lo[i] = column * keyTile;
    k.hi[i] = Math.min(S, endColumn * keyTile) - 1;
    d.lo[i] = q.lo[i]! - k.hi[i]!;
    d.hi[i] = q.hi[i]! - k.lo[i]!;
  }

  /** Reports the kind of every box, and forgets them. */
  bound(expression: Expression, report: (box: number, kind: number) => void): void {
    const { q, k, d } = this.#lanes;
    const count = this.count;
    this.count = 0;
    if (count === 0) return;
    const cut = (lanes: Bounds): Bounds => ({ lo: lanes.lo.subarray(0, count), hi: lanes.hi.subarray(0, count) });
    const { lo, hi } = boundLanes(expression, { q: cut(q), k: cut(k), d: cut(d) });
    const last = lo.length - 1;
    for (let i = 0; i < count; i++) report(i, lo[Math.min(i, last)]! + hi[Math.min(i, last)]!);
  }
}
