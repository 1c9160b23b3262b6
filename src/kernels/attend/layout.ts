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

/** Without a mask that is made of blocks of keys. */
export const defaultKeyBlock = 16;

/** Queries of a task: 64 gain a tenth in the backward pass over all pairs, and lose 10 to 20 % at the edges of narrow masks. */
const queryTile = 32;

export function attendTiles(width: number, keyBlock = defaultKeyBlock): AttendTiles {
  const { rows, vectors } = registerTile(width);
  const panel = Math.min(vectors * width, queryTile);
  // half the vectors leave registers for more rows; 12 of them measured slower than 8
  const register = panel < vectors * width ? { rows: 8, vectors: panel / width } : { rows, vectors };
  return { ...register, panel, panels: queryTile / panel, queryTile, keyTile: 96, keyBlock };
}

/** Keys (and queries) of one backward task: whole query tiles and whole steps of keys. */
export const backwardChunk = (t: AttendTiles): number => 2 * lcm(t.queryTile, t.keyTile);

function lcm(a: number, b: number): number {
  let [x, y] = [a, b];
  while (y > 0) [x, y] = [y, x % y];
  return (a / x) * b;
}
