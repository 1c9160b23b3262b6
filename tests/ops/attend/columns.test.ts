import { expect, test } from 'vitest';
import { causal, within } from '../../../src/masks/index.js';
import { FULL, PARTIAL } from '../../../src/masks/runs.js';
import { classifyTiles } from '../../../src/masks/tiles.js';
import { columnsOf } from '../../../src/ops/attend/columns.js';

const shape = { B: 1, H: 2, G: 1, L: 300, S: 333 };

/** Pairs of queries and blocks of keys by kind, as `tile,block,kind`, of one class. */
const listed = (cells: Iterable<readonly [tile: number, block: number, kind: number]>): string[] =>
  [...cells].map((cell) => cell.join()).sort();

test.each([16, 32, 48, 64])(
  'with blocks of %i keys the map by keys visits what the map by queries visits',
  (keyBlock) => {
    const mask = causal()
      .and(within({ radius: 90 }))
      .expression(shape);
    const options = { B: 1, H: 2, L: 300, S: 333, queryTile: 32, keyTile: keyBlock, queryOffset: 33 };
    const tiles = classifyTiles(mask, options);
    const { rows, offsets, runs } = columnsOf(tiles, { keyBlock });
    const own = keyBlock === 48 ? 16 : 32;
    expect(rows).toBe(Math.ceil((tiles.columns * keyBlock) / own));
    // in units of 16 keys
    const units = keyBlock / 16;
    const byQueries: [number, number, number][] = [];
    for (let tile = 0; tile < tiles.rows; tile++) {
      for (let run = tiles.rowOffsets[tile]!; run < tiles.rowOffsets[tile + 1]!; run++) {
        const [first, end, kind] = tiles.runs.subarray(3 * run, 3 * run + 3);
        for (let unit = first! * units; unit < end! * units; unit++) byQueries.push([tile, unit, kind!]);
      }
    }
    const byKeys: [number, number, number][] = [];
    for (let row = 0; row < rows; row++) {
      for (let run = offsets[row]!; run < offsets[row + 1]!; run++) {
        const [first, end, kinds] = runs.subarray(3 * run, 3 * run + 3);
        for (let tile = first!; tile < end!; tile++) {
          for (let unit = 0; unit < own / 16; unit++) {
            const kind = (kinds! >> (2 * Math.floor((16 * unit) / Math.min(keyBlock, own)))) & 3;
            if (kind === FULL || kind === PARTIAL) byKeys.push([tile, (row * own) / 16 + unit, kind]);
          }
        }
      }
    }
    expect(listed(byKeys)).toEqual(listed(byQueries));
  },
);
