import type { GroupedPlan, GroupedShape } from './grouped-plan.js';
import { clamp, cut, type MatmulShape, type MultiplyPlan, type VectorPlan } from './layout.js';

// How products are cut for a GPU: by tiles of the result, one a workgroup. Host and text share these numbers.

/** Steps of the inner sum that go through workgroup memory at a time. */
export const gpuDepth = 16;
/** Rows and columns of a tile: the larger one where that still makes enough tiles, as it reads its operands less often. */
const sizes = { large: 64, small: 16 } as const;
/** Tiles that occupy any GPU a little. */
const enough = 32;
/** Parts that an inner sum is cut into at most: each is written, and read again. */
const mostSplits = 16;

/** A tile in a text: four by four sums an invocation, and the operands' slices in vectors of workgroup memory. */
export interface GpuTile {
  readonly rows: number;
  readonly quads: number;
  /** Vectors from step to step: an odd number, so that writes along steps meet different banks. */
  readonly pitch: number;
  readonly invocations: number;
  /** Where the slice of B begins. */
  readonly b: number;
  readonly vectors: number;
}

export function gpuTile(rows: number): GpuTile {
  const quads = rows / 4;
  const pitch = quads + 1;
  return { rows, quads, pitch, invocations: quads * quads, b: gpuDepth * pitch, vectors: 2 * gpuDepth * pitch };
}

const tileFor = (tiles: (size: number) => number): number => (tiles(sizes.large) >= enough ? sizes.large : sizes.small);

const planOf = (size: number, blocks: number, N: number) => {
  const ranges = Math.ceil(N / size);
  return {
    rows: size,
    packed: false,
    blockRows: size,
    blocks,
    panels: ranges,
    panelsPerRange: 1,
    ranges,
    byRows: 0,
    grain: 1,
  } as const;
};

export function planMultiplyOnGpu({ batches, M, N, K }: MatmulShape): MultiplyPlan {
  const tiles = (size: number): number => batches * Math.ceil(M / size) * Math.ceil(N / size);
  const size = tileFor(tiles);
  // a long inner sum over few tiles: gradients of weights
  const wanted = Math.min(Math.ceil(enough / tiles(size)), mostSplits, Math.max(1, Math.floor(K / (8 * gpuDepth))));
  const splitDepth = Math.max(gpuDepth, cut(K, wanted, gpuDepth));
  const splits = Math.max(1, Math.ceil(K / splitDepth));
  const plan = planOf(size, Math.ceil(M / size), N);
  return { ...plan, splits, splitDepth, tasks: batches * plan.blocks * plan.ranges * splits };
}

export function planGroupedOnGpu({ count, groups, N }: GroupedShape): GroupedPlan {
  const size = tileFor((rows) => Math.ceil(count / rows) * Math.ceil(N / rows));
  // a tile that is not full for each group, and for the rows of none
  const plan = planOf(size, Math.ceil(count / size) + groups + 1, N);
  return { ...plan, tasks: plan.blocks * plan.ranges };
}

export function planGroupedInnerOnGpu({ groups, N, K }: GroupedShape): GroupedPlan {
  const size = tileFor((rows) => groups * Math.ceil(K / rows) * Math.ceil(N / rows));
  const plan = planOf(size, Math.ceil(K / size), N);
  return { ...plan, tasks: groups * plan.blocks * plan.ranges };
}

/** Columns of a workgroup of vector × matrix. */
export const gpuVectorColumns = 64;
/** Workgroups that keep a GPU's memory busy, and steps of the inner sum that one is worth. */
const [busy, least] = [256, 1024];

export function planVectorOnGpu({ batches, N, K }: MatmulShape): VectorPlan {
  const ranges = Math.ceil(N / gpuVectorColumns);
  const splitDepth = cut(K, clamp(Math.floor(busy / (batches * ranges)), 1, Math.max(1, Math.floor(K / least))), 32);
  const splits = Math.max(1, Math.ceil(K / splitDepth));
  return { columns: gpuVectorColumns, ranges, splits, splitDepth, tasks: batches * ranges * splits, grain: 1 };
}
