import type { Expression } from '../codegen/expression/index.js';
import { axisRuns } from './axis.js';
import { FULL, PARTIAL, Runs } from './runs.js';

/** How a score matrix is cut into tiles. Row i of the matrix has position q = queryOffset + i. */
export interface Geometry {
  readonly L: number;
  readonly S: number;
  readonly queryTile: number;
  readonly keyTile: number;
  readonly queryOffset: number;
}

/**
 * One part of a mask: the kinds of a row of tiles, of which only columns start…end−1 need be right. The result is valid
 * until the next call.
 */
export interface Source {
  row(tile: number, start: number, end: number): Runs;
}

/** The first and last position of a row of tiles. */
export function queryRange(g: Geometry, tile: number): readonly [number, number] {
  const start = tile * g.queryTile;
  return [g.queryOffset + start, g.queryOffset + Math.min(g.L, start + g.queryTile) - 1];
}

export const queryTiles = (g: Geometry): number => Math.ceil(g.L / g.queryTile);
export const keyTiles = (g: Geometry): number => Math.ceil(g.S / g.keyTile);

/** A row of one kind. */
export function uniform(columns: number, kind: number): Runs {
  const runs = new Runs();
  runs.push(columns, kind);
  return runs;
}

export function constantSource(g: Geometry, kind: number): Source {
  const row = uniform(keyTiles(g), kind);
  return { row: () => row };
}

/** A boolean of k: every row is the same. */
export function keySource(expression: Expression, g: Geometry): Source {
  const truth = axisRuns(expression, 'k', 0, g.S - 1);
  const row = new Runs();
  let run = 0;
  for (let tile = 0; tile < keyTiles(g); tile++) {
    while (truth.ends[run]! <= tile * g.keyTile) run++;
    const inside = truth.ends[run]! >= Math.min(g.S, (tile + 1) * g.keyTile);
    row.push(tile + 1, inside ? truth.kinds[run]! : PARTIAL);
  }
  return { row: () => row };
}

/** A boolean of q: every row is of one kind. */
export function querySource(expression: Expression, g: Geometry): Source {
  const truth = axisRuns(expression, 'q', g.queryOffset, g.queryOffset + g.L - 1);
  const rows = [0, 1, FULL].map((kind) => uniform(keyTiles(g), kind));
  return {
    row(tile) {
      const [first, last] = queryRange(g, tile);
      const run = truth.find(first - g.queryOffset);
      return rows[truth.ends[run]! > last - g.queryOffset ? truth.kinds[run]! : PARTIAL]!;
    },
  };
}

/** A boolean of d = q − k: a tile holds every difference between those of its two far corners. */
export function differenceSource(expression: Expression, g: Geometry): Source {
  const from = g.queryOffset - (g.S - 1);
  const truth = axisRuns(expression, 'd', from, g.queryOffset + g.L - 1);
  const { keyTile } = g;
  const columns = keyTiles(g);
  // columns of whole tiles; a ragged last one holds fewer differences
  const wholeColumns = Math.floor(g.S / g.keyTile);
  const out = new Runs();
  let long: LongRuns = { low: [], high: [], kind: [] };
  let longWindow = 0;
  return {
    row(tile, begin, end) {
      const [first, last] = queryRange(g, tile);
      const window = last - first + keyTile;
      if (window !== longWindow) {
        long = longRuns(truth, from, window);
        longWindow = window;
      }
      out.clear();
      // the difference falls from one column to the next, so runs are met from the last
      for (let i = firstBelow(long.low, last - begin * keyTile); i < long.low.length; i++) {
        const start = Math.ceil((last - long.high[i]!) / keyTile);
        if (start >= wholeColumns || start >= end) break;
        const stop = Math.min(wholeColumns, Math.floor((first + 1 - long.low[i]!) / keyTile));
        if (stop <= start) continue;
        out.push(start, PARTIAL);
        out.push(stop, long.kind[i]!);
      }
      out.push(wholeColumns, PARTIAL);
      if (columns > wholeColumns) {
        const run = truth.find(first - (g.S - 1) - from);
        const inside = truth.ends[run]! > last - wholeColumns * g.keyTile - from;
        out.push(columns, inside ? truth.kinds[run]! : PARTIAL);
      }
      return out;
    },
  };
}

interface LongRuns {
  readonly low: number[];
  readonly high: number[];
  readonly kind: number[];
}

/** The decided runs of at least `window` differences, highest first: only these can hold a whole tile. */
function longRuns(truth: Runs, from: number, window: number): LongRuns {
  const long: LongRuns = { low: [], high: [], kind: [] };
  for (let run = truth.count - 1; run >= 0; run--) {
    const low = run === 0 ? 0 : truth.ends[run - 1]!;
    if (truth.kinds[run] === PARTIAL || truth.ends[run]! - low < window) continue;
    long.low.push(from + low);
    long.high.push(from + truth.ends[run]! - 1);
    long.kind.push(truth.kinds[run]!);
  }
  return long;
}

/** The first entry of a falling list that is at most `limit`. */
function firstBelow(falling: readonly number[], limit: number): number {
  let [low, high] = [0, falling.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (falling[middle]! <= limit) high = middle;
    else low = middle + 1;
  }
  return low;
}
