import { registerTile } from '../tile.js';

/** How attention is cut for vectors of `width` lanes: a task takes `queryTile` queries, `panel` of them at a time. */
export interface AttendTiles {
  readonly rows: number;
  readonly vectors: number;
  readonly panel: number;
  readonly panels: number;
  readonly queryTile: number;
  /** Keys of one step; a multiple of 4 (dropout counters) and of the register rows. */
  readonly keyTile: number;
  /** Keys of one block of the tile map: finer than a step, so that little is visited in vain at the edges of a mask. */
  readonly keyBlock: number;
}

export function attendTiles(width: number): AttendTiles {
  const { rows, vectors } = registerTile(width);
  const panel = vectors * width;
  const queryTile = Math.max(panel, 64);
  return { rows, vectors, panel, panels: queryTile / panel, queryTile, keyTile: 96, keyBlock: 24 };
}

/** Keys (and queries) of one backward task: whole query tiles and whole steps of keys. */
export const backwardChunk = (t: AttendTiles): number => 2 * lcm(t.queryTile, t.keyTile);

function lcm(a: number, b: number): number {
  let [x, y] = [a, b];
  while (y > 0) [x, y] = [y, x % y];
  return (a / x) * b;
}
