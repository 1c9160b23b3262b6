import { registerTile } from '../tile.js';

/** Steps of the inner sum between two visits to C: a slice of a panel of B stays in the second cache level. */
export const depth = 256;
/** Tasks that large products are cut into at least. */
export const enough = 32;
/** Multiply-adds below which another task costs more than it saves. */
export const least = 2 ** 19;
/** Rows of A that a task packs at most, in tiles. */
export const tallest = 16;
/** Bytes of B that stay in the second cache level. */
export const secondCache = 2 ** 19;
/** Columns below which a range would mostly pay for packing A again. */
export const narrowest = 256;

/** `batches` products `[M,K]·[K,N]`. */
export interface MatmulShape {
  readonly batches: number;
  readonly M: number;
  readonly N: number;
  readonly K: number;
}

/** Columns of a packed panel of B: one accumulator tile wide. */
export const panelColumns = (width: number): number => registerTile(width).vectors * width;

/** How a product is cut into tasks. Depends on the shape and the vector width only, never on the number of threads. */
export interface MultiplyPlan {
  /** Rows of the accumulator tile. */
  readonly rows: number;
  /** Whether B is packed once for all tasks, or by every task for itself. */
  readonly packed: boolean;
  readonly blockRows: number;
  readonly blocks: number;
  readonly panels: number;
  readonly panelsPerRange: number;
  readonly ranges: number;
  /** Parts of the inner sum, each into a result of its own, added up afterwards. */
  readonly splits: number;
  readonly splitDepth: number;
  /**
   * 1 for short inner sums, where writing results costs as much as forming them: they are then written along their rows,
   * while the range of B stays in the second cache level.
   */
  readonly byRows: 0 | 1;
  readonly tasks: number;
  /** Tasks handed out at a time: more than one only where they are tiny. */
  readonly grain: number;
}

export const cut = (count: number, parts: number, unit: number): number =>
  unit * Math.ceil(Math.ceil(count / parts) / unit);
/** Tasks of `work` multiply-adds that are worth handing out at a time. */
export const grainOf = (work: number): number => Math.max(1, Math.floor(least / 4 / work));
export const clamp = (value: number, low: number, high: number): number => Math.max(low, Math.min(high, value));

export function planMultiply({ batches, M, N, K }: MatmulShape, width: number): MultiplyPlan {
  const tile = registerTile(width).rows;
  const rows = Math.min(tile, M);
  const wanted = clamp(Math.floor((batches * M * N * K) / least), 1, enough);
  const tallestBlock = tile * tallest;
  const blockRows = clamp(cut(M, Math.ceil(wanted / batches), tile), Math.min(tile * 4, cut(M, 1, tile)), tallestBlock);
  const blocks = Math.ceil(M / blockRows);
  const panel = panelColumns(width);
  const panels = Math.ceil(N / panel);
  // a block of few rows is cheap to pack, so B alone decides
  const narrow = M <= 2 * tile ? panel : narrowest;
  const rangesWanted = clamp(Math.ceil(wanted / (batches * blocks)), 1, Math.max(1, Math.floor(N / narrow)));
  const byRows = K <= depth / 2;
  const cached = byRows ? Math.ceil((4 * N * K) / secondCache) : 1;
  const panelsPerRange = Math.ceil(panels / Math.max(rangesWanted, cached));
  const ranges = Math.ceil(panels / panelsPerRange);
  const tiles = batches * blocks * ranges;
  // a long inner sum over few tiles: gradients of weights
  const splitsWanted = clamp(Math.floor(wanted / tiles), 1, Math.floor(K / (2 * depth)));
  const splitDepth = cut(K, Math.max(1, splitsWanted), depth);
  const splits = Math.ceil(K / splitDepth);
  return {
    rows,
    packed: blocks > 1,
    blockRows,
    blocks,
    panels,
    panelsPerRange,
    ranges,
    splits,
    splitDepth,
    byRows: byRows ? 1 : 0,
    tasks: tiles * splits,
    grain: grainOf(blockRows * Math.ceil(N / ranges) * Math.min(K, splitDepth)),
  };
}

/** How vector × matrix is cut: ranges of columns, and parts of the inner sum where there are few columns. */
export interface VectorPlan {
  readonly columns: number;
  readonly ranges: number;
  readonly splits: number;
  readonly splitDepth: number;
  readonly tasks: number;
  readonly grain: number;
}

export function planVector({ batches, N, K }: MatmulShape): VectorPlan {
  // memory bound: a task should read some hundred kilobytes
  const wanted = clamp(Math.floor((batches * N * K) / 2 ** 16), 1, 16);
  const columns = clamp(cut(N, Math.ceil(wanted / batches), 16), 64, 1024);
  const ranges = Math.ceil(N / columns);
  const splitsWanted = clamp(Math.floor(wanted / (batches * ranges)), 1, Math.max(1, Math.floor(K / (2 * depth))));
  const splitDepth = cut(K, splitsWanted, depth);
  const splits = Math.ceil(K / splitDepth);
  // no multiply-add is as slow as one that waits for memory
  const grain = grainOf(8 * Math.min(N, columns) * Math.min(K, splitDepth));
  return { columns, ranges, splits, splitDepth, tasks: batches * ranges * splits, grain };
}
