import { memoised } from '../../core/memo.js';
import { hostData } from './evaluate.js';
import type { Table, TypedArray } from './node.js';

const factor = 16;

/** Minima and maxima of blocks of 16, of blocks of 256, and so on up to one block: a range costs O(log n), not O(n). */
interface Pyramid {
  readonly minima: readonly TypedArray[];
  readonly maxima: readonly TypedArray[];
}

// keyed by the array, which tables promise not to change
const pyramidOf = memoised((data: TypedArray): Pyramid => {
  const minima: TypedArray[] = [data];
  const maxima: TypedArray[] = [data];
  for (let size = data.length; size > 1; size = Math.ceil(size / factor)) {
    minima.push(reduce(minima.at(-1)!, (a, b) => (b < a ? b : a)));
    maxima.push(reduce(maxima.at(-1)!, (a, b) => (b > a ? b : a)));
  }
  return { minima, maxima };
});

function reduce(level: TypedArray, pick: (a: number, b: number) => number): TypedArray {
  const next = level.slice(0, Math.ceil(level.length / factor));
  for (let block = 0; block < next.length; block++) {
    let best = level[block * factor]!;
    const end = Math.min(level.length, (block + 1) * factor);
    for (let i = block * factor + 1; i < end; i++) {
      best = pick(best, level[i]!);
      // a NaN makes the block, and every range over it, unbounded
      if (level[i] !== level[i]) best = NaN;
    }
    next[block] = best;
  }
  return next;
}

/** Grows [low, high] of `range` by the entries first…last (inclusive) of the flat data. */
function include(pyramid: Pyramid, first: number, last: number, range: Float64Array): void {
  let a = first;
  let b = last;
  for (let level = 0; a <= b; level++) {
    const low = pyramid.minima[level]!;
    const high = pyramid.maxima[level]!;
    const climb = b - a >= factor;
    // the ends that do not fill a block of the next level are read here
    const stopA = climb ? Math.ceil(a / factor) * factor : b + 1;
    const startB = climb ? Math.floor((b + 1) / factor) * factor : b + 1;
    for (let i = a; i < stopA; i++) grow(range, low[i]!, high[i]!);
    for (let i = startB; i <= b; i++) grow(range, low[i]!, high[i]!);
    if (!climb) return;
    a = stopA / factor;
    b = startB / factor - 1;
  }
}

function grow(range: Float64Array, low: number, high: number): void {
  if (!(low >= range[0]!)) range[0] = low === low ? low : -Infinity;
  if (!(high <= range[1]!)) range[1] = high === high ? high : Infinity;
}

/** The bounds of a whole table's entries. */
function everything(data: TypedArray): readonly [number, number] {
  const { minima, maxima } = pyramidOf(data);
  const range = new Float64Array([Infinity, -Infinity]);
  grow(range, minima.at(-1)![0]!, maxima.at(-1)![0]!);
  return [range[0]!, range[1]!];
}

/** Boxes of more rows than this are answered with the bounds of the whole table, which is sound. */
const maxRows = 4096;

function listRange(data: TypedArray, low: number, high: number, range: Float64Array): void {
  const last = data.length - 1;
  if (low < 0 || high > last) grow(range, 0, 0);
  if (low <= last && high >= 0) include(pyramidOf(data), Math.max(0, low), Math.min(last, high), range);
}

/**
 * The least and greatest entry of a table over a box of indices (inclusive bounds per dimension, written to `range`).
 * Indices outside the table read 0, so a box that leaves the table includes 0.
 */
export function tableRange(table: Table, low: ArrayLike<number>, high: ArrayLike<number>, range: Float64Array): void {
  const data = hostData(table);
  range.set([Infinity, -Infinity]);
  if (data === undefined) {
    range.set(
      table.dtype === 'f32' ? [-Infinity, Infinity] : table.dtype === 'u8' ? [0, 255] : [-(2 ** 31), 2 ** 31 - 1],
    );
    return;
  }
  const rank = table.shape.length;
  if (rank === 1) return listRange(data, low[0]!, high[0]!, range);
  const first = table.shape.map((_, dim) => Math.max(0, low[dim]!));
  const last = table.shape.map((size, dim) => Math.min(size - 1, high[dim]!));
  for (let dim = 0; dim < rank; dim++) if (low[dim]! < 0 || high[dim]! >= table.shape[dim]!) grow(range, 0, 0);
  if (first.some((start, dim) => start > last[dim]!)) return;
  const [min, max] = everything(data);
  const rows = first.slice(0, -1).reduce((count, start, dim) => count * (last[dim]! - start + 1), 1);
  if (rows > maxRows) return grow(range, min, max);
  const pyramid = pyramidOf(data);
  const index = first.slice();
  for (let row = 0; row < rows; row++) {
    let flat = 0;
    for (let dim = 0; dim < rank - 1; dim++) flat = (flat + index[dim]!) * table.shape[dim + 1]!;
    include(pyramid, flat + first[rank - 1]!, flat + last[rank - 1]!, range);
    if (range[0]! <= min && range[1]! >= max) return;
    for (let dim = rank - 2; dim >= 0 && ++index[dim]! > last[dim]!; dim--) index[dim] = first[dim]!;
  }
}
