import { registerTile } from '../tile.js';

/** How the sweep over one head is cut. Depends on the shape only, never on the number of threads. */
export interface LinearPlan {
  readonly leading: number;
  readonly chunks: number;
  readonly perSegment: number;
  readonly segments: number;
}

/** Tasks that are enough to keep threads busy; with half as many heads each is one task. */
const enough = 16;
/** Chunks of a segment at least: its state is computed twice where rows are causal. */
const fewest = 4;

export function planLinear(heads: number, rows: number, keys: number, chunk: number, causal: boolean): LinearPlan {
  const shorter = Math.min(rows, keys);
  const leading = Math.ceil((Math.max(rows, keys) - shorter) / chunk);
  const chunks = leading + Math.ceil(shorter / chunk);
  const wanted = causal && 2 * heads >= enough ? 1 : Math.ceil(enough / heads);
  const perSegment = Math.ceil(chunks / Math.max(1, Math.min(wanted, Math.floor(chunks / fewest))));
  return { leading, chunks, perSegment, segments: Math.ceil(chunks / perSegment) };
}

/**
 * Positions of one chunk where the caller does not say. What rows have to do with their own chunk grows with it; loading and
 * storing the state, and transposing the keys, shrinks. Measured in bench/kernels; whole groups of rows for every width.
 */
export const defaultChunk = (width: number): number => (width === 16 ? 48 : 24);
/** On a GPU: a tile of its text. */
export const gpuChunk = 32;

/** Lanes of scores times M, and pairs times E, that the rows of one chunk need: what `scores` and `fromChunk` do. */
export function chunkProducts(
  rows: number,
  keys: number,
  width: number,
  reverse: boolean,
): { readonly lanes: number; readonly pairs: number } {
  const tile = registerTile(width).rows;
  let [lanes, pairs] = [0, 0];
  for (let first = 0; first < rows;) {
    const count = rows - first >= tile ? tile : 1;
    const [from, to] = reverse ? [Math.floor(first / width), keys] : [0, Math.min(first + count, keys)];
    lanes += count * width * Math.max(0, Math.ceil(to / width) - from);
    for (let row = first; row < first + count; row++)
      pairs += reverse ? Math.max(0, keys - row) : Math.min(row + 1, keys);
    first += count;
  }
  return { lanes, pairs };
}
