import { variable, type F32 } from '../../codegen/expression/index.js';
import { argsort, cumulativeSum, map, reshape, scatterRows, searchSorted, takeAlong } from '../../ops/index.js';
import { full, scope, tensor, type Tensor } from '../../tensor/index.js';

/** Rows of groups of any sizes, in tiles of one size that have rows of one group each. */
export interface GroupTiles {
  /** Which row is at each place, i32 `[B,H,tiles·size]`: tile by tile; a place that no row has repeats row 0. */
  readonly rows: Tensor;
  /** At which place each row is, i32 `[B,H,n]`. */
  readonly places: Tensor;
  /** The group of each tile, i32 `[B,H,tiles]`. */
  readonly groups: Tensor;
}

/** Tiles that n rows in so many groups take at most. */
export const tilesOf = (n: number, groups: number, size: number): number =>
  Math.floor((n + Math.min(n, groups) * (size - 1)) / size);

const [x0, x1, x2] = [0, 1, 2].map((i) => variable(`x${i}`, 'f32')) as [F32, F32, F32];

/**
 * Sorts rows by their group `[B,H,n]` (i32, below `count`), and fills each group up to a whole number of tiles, so that what depends on
 * the group is the same for a tile: attention within groups is then attention of tiles, without a mask. The device alone knows the
 * sizes; the number of tiles is the most that there can be.
 */
export function groupTiles(groups: Tensor, count: number, size: number): GroupTiles {
  const [B, H, n] = groups.shape as [number, number, number];
  const { device } = groups;
  const tiles = tilesOf(n, count, size);
  return scope(() => {
    const sizes = reshape(scatterRows(full([B, H, n, 1], 1, { device }), groups, count), [B, H, count]);
    const own = map(x0.div(size).ceil(), sizes);
    const ends = cumulativeSum(own);
    // from a row's place among the sorted to that in its tile
    const shift = map(x0.sub(x1).mul(size).sub(x2), ends, own, cumulativeSum(sizes, { exclusive: true }));
    const sorted = argsort(argsort(groups));
    const places = map(x0.add(x1).toI32(), sorted, takeAlong(shift, groups));
    const numbers = (length: number): Tensor =>
      tensor(
        Float32Array.from({ length: B * H * length }, (_, i) => i % length),
        [B, H, length],
        { device },
      );
    const rows = scatterRows(reshape(numbers(n), [B, H, n, 1]), places, tiles * size);
    return {
      rows: map(x0.toI32(), reshape(rows, [B, H, tiles * size])),
      places,
      groups: map(x0.min(count - 1).toI32(), searchSorted(ends, numbers(tiles))),
    };
  });
}
