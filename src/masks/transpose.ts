import { RunList } from './run-list.js';
import { EMPTY } from './runs.js';
import type { TileMap } from './tiles.js';

/**
 * The same map by columns: for each key tile the runs of query tiles that see it, as the key side of backward needs.
 * Only where a row differs from the one above it is anything done.
 */
export function transpose(map: TileMap): TileMap {
  const { rows, columns, classes } = map;
  // runs in the order they end, with the column they belong to
  const ended = new RunList();
  const owners: number[] = [];
  const openStart = new Int32Array(columns);
  for (let c = 0; c < classes.count; c++) {
    for (let row = 0; row <= rows; row++) {
      forEachChange(map, c, row, (start, end, before, now) => {
        for (let column = start; column < end; column++) {
          if (before !== EMPTY) {
            ended.push(openStart[column]!, row, before);
            owners.push(c * columns + column);
          }
          if (now !== EMPTY) openStart[column] = row;
        }
      });
    }
  }
  return { ...map, rows: columns, columns: rows, ...byOwner(ended, owners, classes.count * columns) };
}

/** Reports the stretches of columns whose kind in `row` is not the one in the row above; beyond the ends all is empty. */
function forEachChange(
  { rows, columns, rowOffsets, runs }: TileMap,
  classIndex: number,
  row: number,
  report: (start: number, end: number, before: number, now: number) => void,
): void {
  const first = classIndex * rows;
  const here = rowOffsets[first + row]!;
  let i = row === 0 ? here : rowOffsets[first + row - 1]!;
  let j = here;
  const [stopI, stopJ] = [here, row === rows ? here : rowOffsets[first + row + 1]!];
  for (let column = 0; column < columns;) {
    const [startI, startJ] = [i < stopI ? runs[3 * i]! : columns, j < stopJ ? runs[3 * j]! : columns];
    const [insideI, insideJ] = [startI <= column, startJ <= column];
    const endI = insideI ? runs[3 * i + 1]! : startI;
    const endJ = insideJ ? runs[3 * j + 1]! : startJ;
    const before = insideI ? runs[3 * i + 2]! : EMPTY;
    const now = insideJ ? runs[3 * j + 2]! : EMPTY;
    const end = endI < endJ ? endI : endJ;
    if (before !== now) report(column, end, before, now);
    if (insideI && endI === end) i++;
    if (insideJ && endJ === end) j++;
    column = end;
  }
}

/** Runs grouped by owner, in the order they came. */
function byOwner(list: RunList, owners: readonly number[], count: number): Pick<TileMap, 'rowOffsets' | 'runs'> {
  const rowOffsets = new Int32Array(count + 1);
  for (const owner of owners) rowOffsets[owner + 1]!++;
  for (let i = 0; i < count; i++) rowOffsets[i + 1]! += rowOffsets[i]!;
  const next = rowOffsets.slice();
  const runs = new Int32Array(3 * owners.length);
  for (let run = 0; run < owners.length; run++) {
    const at = 3 * next[owners[run]!]!++;
    for (let field = 0; field < 3; field++) runs[at + field] = list.data[3 * run + field]!;
  }
  return { rowOffsets, runs };
}
