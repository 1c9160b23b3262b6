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
  /** Keys of one block of the tile map: finer than a step, so that few hidden pairs are visited at the edges of a mask. */
  readonly keyBlock: number;
}

/** What the plan of a mask chooses. */
export type TileChoice = Pick<AttendTiles, 'queryTile' | 'keyBlock'>;

/** Without a mask that is made of blocks of keys. */
export const defaultKeyBlock = 16;

/** Queries of a task, largest first, and what a pair costs with them: larger tiles read keys less often, smaller ones visit less at the edges of a mask. */
export const queryTiles = [
  { queryTile: 64, costOfPair: 1 },
  { queryTile: 32, costOfPair: 1.04 },
  { queryTile: 16, costOfPair: 1.12 },
] as const;

export function attendTiles(width: number, { queryTile, keyBlock }: TileChoice): AttendTiles {
  const { rows, vectors } = registerTile(width);
  const panel = Math.min(vectors * width, queryTile);
  // fewer vectors leave registers for more rows; 12 rows of two vectors measured slower than 8
  const register = panel < vectors * width ? { rows: 256 / panel, vectors: panel / width } : { rows, vectors };
  return { ...register, panel, panels: queryTile / panel, queryTile, keyTile: 96, keyBlock };
}

/** Keys (and queries) of one backward task: whole query tiles and whole steps of keys. */
export const backwardChunk = (t: AttendTiles): number => 2 * lcm(t.queryTile, t.keyTile);

function lcm(a: number, b: number): number {
  let [x, y] = [a, b];
  while (y > 0) [x, y] = [y, x % y];
  return (a / x) * b;
}
