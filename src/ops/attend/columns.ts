import { memoised } from '../../core/memo.js';
import { blocksOf, gpuKeyTile } from '../../kernels/attend/gpu/cut.js';
import type { AttendSpec } from '../../kernels/attend/spec.js';
import type { TileMap } from '../../masks/tiles.js';

/**
 * A tile map by keys. Row r of class c, some blocks of keys, has the runs `offsets[c·rows + r] … offsets[c·rows + r + 1]`, each three numbers
 * of `runs`: first tile of queries, end, and the kinds of the blocks, two bits each.
 */
export interface Columns {
  readonly rows: number;
  readonly offsets: Int32Array;
  readonly runs: Int32Array;
}

/** The transpose of a tile map, for kernels whose workgroups own keys. */
export const columnsOf = memoised((tiles: TileMap, { keyBlock }: Pick<AttendSpec, 'keyBlock'>): Columns => {
  const blocks = blocksOf({ keyBlock });
  // several rows of a block, where a tile of keys is a part of it
  const parts = Math.max(1, keyBlock / gpuKeyTile({ keyBlock }));
  const rows = Math.ceil((tiles.columns * parts) / blocks);
  const offsets = new Int32Array(tiles.classes.count * rows + 1);
  const lists: number[][] = [];
  for (let of = 0; of < tiles.classes.count; of++) {
    const found = Array.from({ length: rows }, (): number[] => []);
    for (let tile = 0; tile < tiles.rows; tile++) {
      for (const [row, kinds] of kindsOf(tiles, of * tiles.rows + tile, parts, blocks))
        extend(found[row]!, tile, kinds);
    }
    found.forEach((list, row) => {
      offsets[of * rows + row + 1] = offsets[of * rows + row]! + list.length / 3;
      lists.push(list);
    });
  }
  return { rows, offsets, runs: Int32Array.from(lists.flat()) };
});

/** Which rows a tile of queries visits, and the kinds of their blocks. */
function kindsOf({ rowOffsets, runs }: TileMap, index: number, parts: number, blocks: number): Map<number, number> {
  const kinds = new Map<number, number>();
  for (let run = rowOffsets[index]!; run < rowOffsets[index + 1]!; run++) {
    const [first, end, kind] = [runs[3 * run]!, runs[3 * run + 1]!, runs[3 * run + 2]!];
    for (let unit = first * parts; unit < end * parts; unit++) {
      const row = Math.floor(unit / blocks);
      kinds.set(row, (kinds.get(row) ?? 0) | (kind << (2 * (unit % blocks))));
    }
  }
  return kinds;
}

function extend(list: number[], tile: number, kinds: number): void {
  const last = list.length - 3;
  if (last >= 0 && list[last + 1] === tile && list[last + 2] === kinds) list[last + 1] = tile + 1;
  else list.push(tile, tile + 1, kinds);
}
