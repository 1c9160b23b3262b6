import { registerTile } from '../tile.js';
import {
  clamp,
  cut,
  depth,
  enough,
  grainOf,
  least,
  narrowest,
  panelColumns,
  secondCache,
  tallest,
  type MultiplyPlan,
} from './layout.js';

/** `count` rows of `groups` matrices `[K,N]`; which row is of which group only the device knows. */
export interface GroupedShape {
  readonly count: number;
  readonly groups: number;
  readonly N: number;
  readonly K: number;
}

/** How a grouped product is cut into tasks: by what a group has on average, and for what it may have at worst. */
export type GroupedPlan = Omit<MultiplyPlan, 'splits' | 'splitDepth'>;

/** Rows of A that a task of the gradient of weights packs at most, in tiles: it packs B for itself, which the rows make up for. */
const tallestInner = 48;

export function planGrouped({ count, groups, N, K }: GroupedShape, width: number): GroupedPlan {
  const tile = registerTile(width).rows;
  const mean = Math.ceil(count / groups);
  const wanted = clamp(Math.floor((count * N * K) / least), 1, enough);
  // a block that is alone in its group packs B for itself: a group of twice the mean should still be one
  const few = mean <= tile * tallest;
  const blockRows = few ? cut(2 * mean, 1, tile) : cut(mean, Math.ceil(mean / (tile * tallest)), tile);
  const panel = panelColumns(width);
  const panels = Math.ceil(N / panel);
  const narrow = mean <= 2 * tile ? panel : narrowest;
  const full = Math.ceil(count / blockRows);
  const rangesWanted = clamp(Math.ceil(wanted / full), 1, Math.max(1, Math.floor(N / narrow)));
  const byRows = K <= depth / 2;
  const cached = byRows ? Math.ceil((4 * N * K) / secondCache) : 1;
  const panelsPerRange = Math.ceil(panels / Math.max(rangesWanted, cached));
  const ranges = Math.ceil(panels / panelsPerRange);
  // one that is not full for each group, and for the rows of none
  const blocks = full + groups + 1;
  return {
    rows: Math.min(tile, count),
    packed: !few,
    blockRows,
    blocks,
    panels,
    panelsPerRange,
    ranges,
    byRows: byRows ? 1 : 0,
    tasks: blocks * ranges,
    grain: grainOf(blockRows * Math.ceil(N / ranges) * K),
  };
}

/** Of the gradient of weights `[K,N]`: the inner sum is over the rows of a group. */
export function planGroupedInner({ count, groups, N, K }: GroupedShape, width: number): GroupedPlan {
  const tile = registerTile(width).rows;
  const wanted = clamp(Math.floor((count * N * K) / least), 1, enough);
  const panel = panelColumns(width);
  const panels = Math.ceil(N / panel);
  const rangesWanted = clamp(Math.ceil(wanted / groups), 1, Math.max(1, Math.floor(N / narrowest)));
  const panelsPerRange = Math.ceil(panels / rangesWanted);
  const ranges = Math.ceil(panels / panelsPerRange);
  const parts = clamp(Math.ceil(wanted / (groups * ranges)), 1, Math.ceil(K / (4 * tile)));
  const blockRows = cut(K, Math.max(parts, Math.ceil(K / (tile * tallestInner))), tile);
  const blocks = Math.ceil(K / blockRows);
  return {
    rows: Math.min(tile, K),
    packed: false,
    blockRows,
    blocks,
    panels,
    panelsPerRange,
    ranges,
    byRows: 0,
    tasks: groups * blocks * ranges,
    grain: grainOf(blockRows * Math.ceil(N / ranges) * Math.ceil(count / groups)),
  };
}
