import { constant, lookup, select, tableOf, type Bool, type I32 } from '../../codegen/expression/index.js';
import { reshape } from '../../ops/index.js';
import { integerTable, score, type Score } from '../../scores/index.js';
import { noGradient } from '../../tensor/index.js';
import type { Order } from './sort-blocks.js';

/** Keys of one attention, of which blocks may be heads: sorted blocks, then the own one. */
export interface KeyBlocks {
  /** Tokens of a block, and blocks of the sequence. */
  readonly size: number;
  readonly blocks: number;
  /** Sorted blocks among the keys, and whether the own block is there. */
  readonly sorted: number;
  /** Of which so many follow each other that were sorted beside one block. */
  readonly each: number;
  readonly own: boolean;
}

/**
 * Hides padding: tokens of the own block, and of one that was picked, by their positions; in a mixed block the places that no block has;
 * and what was sorted beside blocks of nothing but padding.
 */
export function paddingScore(
  { size, blocks, sorted, each, own }: KeyBlocks,
  order: Order,
  lengths: readonly number[],
): Score {
  const ends = tableOf('lengths', Int32Array.from(lengths));
  return score(({ b, h, k, score: value }, { H }) => {
    const end = lookup(ends, b);
    const [block, place] = [k.floorDiv(size), k.mod(size)];
    const isReal = (of: I32): Bool => of.mul(size).add(place).lt(end);
    const number = block.min(Math.max(0, sorted - 1));
    const mixed = end.gt(size).or(place.lt(end));
    const exists = order.sorting === 'topK' ? isReal(lookup(placesOf(order, H), b, h, number)) : mixed;
    const picked = exists.and(number.floorDiv(each).mul(size).lt(end));
    const seen = own ? select(block.lt(sorted), picked, isReal(h.mod(blocks))) : picked;
    return select(sorted === 0 ? isReal(h.mod(blocks)) : seen, value, constant(-Infinity, 'f32'));
  });
}

/** Where the sorted blocks of each head of the attention were. */
function placesOf({ blocks }: Order & { readonly sorting: 'topK' }, heads: number): ReturnType<typeof integerTable> {
  const [B] = blocks.shape as [number];
  return integerTable(
    'blocks',
    noGradient(() => reshape(blocks, [B, heads, blocks.size / (B * heads)])),
  );
}
