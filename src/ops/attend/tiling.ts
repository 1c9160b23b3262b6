import type { Expression } from '../../codegen/expression/index.js';
import { memoised } from '../../core/memo.js';
import { defaultKeyBlock, queryTiles, type TileChoice } from '../../kernels/attend/layout.js';
import { periodicity, type AttendShape } from '../../masks/index.js';
import { classifyTiles, type TileMap } from '../../masks/tiles.js';
import { keyBlocksFor } from './key-blocks.js';

/** What a mask is to the kernels: tiles of the score matrix of one residue class, and the mask within it. */
export interface Tiling {
  readonly period: number;
  readonly mask: Expression | null;
  readonly choice: TileChoice;
  readonly tiles: TileMap;
  readonly visited: Visited;
}

/** Tiles and pairs over all heads and residue classes. */
export interface Visited {
  readonly pairs: number;
  readonly tiles: { readonly empty: number; readonly full: number; readonly partial: number };
}

/** The cheapest cut of the score matrix into tiles: coarse first, finer as long as that pays. */
export function cheapestTiling(expression: Expression | null, shape: AttendShape): Tiling {
  if (expression === null) return tilingOfAll(shape);
  let best: { readonly tiling: Tiling; readonly cost: number } | undefined;
  for (const { queryTile, costOfPair } of queryTiles) {
    // pairs in full tiles stay what they are
    if (best && best.cost <= costOfPair * best.tiling.tiles.pairs.full) break;
    for (const keyBlock of keyBlocksFor(expression)) {
      const tiling = tilingWith(expression, shape, { queryTile, keyBlock });
      const { full, partial } = tiling.tiles.pairs;
      // evaluating the mask costs about a quarter of a pair
      const cost = padding(Math.ceil(shape.L / tiling.period), queryTile) * costOfPair * (full + 1.25 * partial);
      if (best === undefined || cost < best.cost) best = { tiling, cost };
    }
  }
  return best!.tiling;
}

/** The coarsest cut: it tells enough of what may not be chosen. */
export const coarseTiling = (expression: Expression, shape: AttendShape): Tiling =>
  tilingWith(expression, shape, { queryTile: queryTiles[0].queryTile, keyBlock: defaultKeyBlock });

/** A tile is computed whole, however few its queries. */
const padding = (rows: number, queryTile: number): number => (Math.ceil(rows / queryTile) * queryTile) / rows;

/** Of a row's tiles without a mask there is nothing to find out. */
function tilingOfAll(shape: AttendShape): Tiling {
  const costs = queryTiles.map(({ queryTile, costOfPair }) => costOfPair * padding(shape.L, queryTile));
  const { queryTile } = queryTiles[costs.indexOf(Math.min(...costs))]!;
  return tilingWith(null, shape, { queryTile, keyBlock: defaultKeyBlock });
}

// a step of a decoder is a shape of its own
const tilingWith = memoised(classified, {
  by: (expression, shape, { queryTile, keyBlock }) => [expression, Object.values(shape), queryTile, keyBlock],
  most: 256,
});

function classified(expression: Expression | null, shape: AttendShape, choice: TileChoice): Tiling {
  const { queryTile, keyBlock } = choice;
  const { B, H, L, S } = shape;
  const found = expression === null ? undefined : periodicity(expression);
  // row and position must have one residue, and the mask be the same in every class
  const periodic = found !== undefined && (S - L) % found.period === 0 && !found.usesClass ? found : undefined;
  const period = periodic?.period ?? 1;
  const mask = periodic?.expression ?? expression;
  const classify = (rows: number, columns: number): TileMap =>
    classifyTiles(mask, { B, H, L: rows, S: columns, queryTile, keyTile: keyBlock, queryOffset: (S - L) / period });
  const tiles = classify(Math.ceil(L / period), Math.ceil(S / period));
  // L mod period classes have the longer length
  const longer = L % period === 0 ? period : L % period;
  const parts: [TileMap, number][] = [[tiles, longer]];
  const [rows, columns] = [Math.floor(L / period), Math.floor(S / period)];
  if (longer < period && rows > 0 && columns > 0) parts.push([classify(rows, columns), period - longer]);
  const total = (of: (map: TileMap) => number): number => parts.reduce((sum, [map, times]) => sum + times * of(map), 0);
  const visited = {
    pairs: total(({ pairs }) => pairs.full + pairs.partial),
    tiles: {
      empty: total(({ counts }) => counts.empty),
      full: total(({ counts }) => counts.full),
      partial: total(({ counts }) => counts.partial),
    },
  };
  return { period, mask, choice, tiles, visited };
}
