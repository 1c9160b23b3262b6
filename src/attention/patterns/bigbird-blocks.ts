import { lookup, tableOf, type Bool } from '../../codegen/expression/index.js';
import { words } from '../../core/random.js';
import { mask, type Mask } from '../../masks/index.js';

/** BigBird's blocks for one length. */
export interface BlockLayout {
  readonly blockSize: number;
  /** Blocks of the sequence; the last may be short. */
  readonly count: number;
  /** Blocks on each side of a query's own that its window holds. */
  readonly side: number;
  /** Global blocks at the start and at the end. */
  readonly first: number;
  readonly last: number;
  readonly random: number;
}

export const isGlobal = ({ count, first, last }: BlockLayout, block: number): boolean =>
  block < first || block >= count - last;

/** The blocks that a query block sees in any case, ascending. */
export function certainBlocks(layout: BlockLayout, block: number): number[] {
  const { count, side, first, last } = layout;
  const all = Array.from({ length: isGlobal(layout, block) ? count : 0 }, (_, i) => i);
  if (all.length > 0) return all;
  const start = Array.from({ length: first }, (_, i) => i);
  const window = Array.from({ length: 2 * side + 1 }, (_, i) => block - side + i);
  const end = Array.from({ length: last }, (_, i) => count - last + i);
  const inside = [...start, ...window, ...end].filter((one) => one >= 0 && one < count);
  return [...new Set(inside)].sort((a, b) => a - b);
}

/**
 * The random blocks of every query block of a head, `count` rows of `random` numbers: drawn uniformly without repetition from
 * the blocks it does not see anyway; −1 where there are no more.
 */
export function randomBlocks(layout: BlockLayout, seed: number, head: number): Int32Array {
  const { count, random } = layout;
  const out = new Int32Array(count * random).fill(-1);
  const draws = words(seed, `bigbird blocks, head ${head}`, count * random);
  for (let row = 0; row < count; row++) {
    const taken = certainBlocks(layout, row);
    const candidates = count - taken.length;
    const wanted = Math.min(random, candidates);
    // Floyd's sampling: each set of ranks among the candidates is equally likely
    const ranks: number[] = [];
    for (let i = 0; i < wanted; i++) {
      const limit = candidates - wanted + i;
      const rank = Math.floor((draws[row * random + i]! / 2 ** 32) * (limit + 1));
      ranks.push(ranks.includes(rank) ? limit : rank);
    }
    ranks.forEach((rank, i) => {
      out[row * random + i] = taken.reduce((block, known) => (block >= known ? block + 1 : block), rank);
    });
  }
  return out;
}

/** The pattern: comparisons of block numbers, each of which is classified exactly. */
export function blockMask(layout: BlockLayout, heads: number, seed: number): Mask {
  const { blockSize, count, side, first, last, random } = layout;
  const drawn = Array.from({ length: heads }, (_, head) => randomBlocks(layout, seed, head));
  const tables = Array.from({ length: random }, (_, slot) =>
    tableOf(
      'randomBlocks',
      Int32Array.from(
        { length: heads * count },
        (_unused, i) => drawn[Math.floor(i / count)]![(i % count) * random + slot]!,
      ),
      [heads, count],
    ),
  );
  return mask(({ h, q, k }) => {
    const [query, key] = [q.floorDiv(blockSize), k.floorDiv(blockSize)];
    // one equality for each block of the window: its tiles are found without a look at the others
    const window = Array.from({ length: 2 * side + 1 }, (_, i) => key.eq(query.add(i - side)));
    const chosen = tables.map((table) => key.eq(lookup(table, h, query)));
    const end = blockSize * (count - last);
    const globals = [
      ...(first > 0 ? [q.lt(first * blockSize), k.lt(first * blockSize)] : []),
      ...(last > 0 ? [q.ge(end), k.ge(end)] : []),
    ];
    return [...globals, ...window, ...chosen].reduce((any: Bool, one) => any.or(one));
  });
}

/** Pairs of one head. Where a last block that is shorter may be drawn at random, it counts as a whole one. */
export function blockPairs(layout: BlockLayout, n: number): number {
  const { blockSize, count, random } = layout;
  const sizeOf = (block: number): number => Math.min(n, (block + 1) * blockSize) - block * blockSize;
  let pairs = 0;
  for (let row = 0; row < count; row++) {
    const certain = certainBlocks(layout, row);
    const keys = certain.reduce((sum, block) => sum + sizeOf(block), 0);
    pairs += sizeOf(row) * (keys + blockSize * Math.min(random, count - certain.length));
  }
  return pairs;
}
