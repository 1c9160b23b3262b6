import { OptionError } from '../core/errors.js';
import { anything, checkValues, int32From } from '../core/requirements.js';
import { constant, lookup, tableOf, type Bool, type I32 } from '../codegen/expression/index.js';
import { Mask } from './mask.js';
import { integers } from './options.js';
import { place } from './place.js';

const { h, q, k } = place;

/** The block of a position when S positions are cut into `count` blocks: `⌊x · count / S⌋`; sizes differ by 1 at most. */
function blocksOf(count: number, S: number): (x: I32) => I32 {
  if (S % count === 0) return (x) => x.floorDiv(S / count);
  if (S * count < 2 ** 31) return (x) => x.mul(count).floorDiv(S);
  const table = tableOf(
    'blocks',
    Int32Array.from({ length: S }, (_, x) => Math.floor((x * count) / S)),
  );
  return (x) => lookup(table, x);
}

/**
 * The permuted blocks of BlockBERT (Qiu, Ma, Levy, Yih, Wang, Tang 2019, arXiv 1911.02972): of `numBlocks` blocks, block I
 * of the queries sees block `(I + shift) mod numBlocks` of the keys, where head h has `shifts[h mod shifts.length]`.
 *
 * @throws OptionError unless `numBlocks` ≥ 1 and the shifts ≥ 0 are integers.
 */
export function shiftedBlocks(options: { readonly numBlocks: number; readonly shifts: readonly number[] }): Mask {
  checkValues('shiftedBlocks', options, { numBlocks: int32From(1), shifts: anything }, ['numBlocks']);
  const { numBlocks: count } = options;
  const shifts = integers('shiftedBlocks', 'shifts', options.shifts, 0);
  const name = `shiftedBlocks({ numBlocks: ${count}, shifts: [${Array.from(shifts).join(', ')}] })`;
  return new Mask(name, ({ S }) => {
    const same = shifts.every((shift) => shift === shifts[0]);
    const shift = same ? constant(shifts[0]!, 'i32') : lookup(tableOf('shifts', shifts), h.mod(shifts.length));
    const blockOf = blocksOf(count, S);
    return blockOf(q).add(shift).mod(count).eq(blockOf(k));
  });
}

/**
 * Blocks that see listed blocks: of `numBlocks` blocks, block I of the queries of head h sees the blocks
 * `picks[h][I]`, a list of one length everywhere; a block that is named twice counts once.
 *
 * @throws OptionError unless there is a list of blocks below `numBlocks` for each of them.
 */
export function pickedBlocks(options: {
  readonly numBlocks: number;
  readonly picks: readonly (readonly (readonly number[])[])[];
}): Mask {
  checkValues('pickedBlocks', options, { numBlocks: int32From(1), picks: anything }, ['numBlocks']);
  const { numBlocks: count, picks } = options;
  const slots = (picks as typeof picks | undefined)?.[0]?.[0]?.length ?? 0;
  const isBlock = (x: unknown): boolean => Number.isInteger(x) && (x as number) >= 0 && (x as number) < count;
  const lists = (value: unknown, length: number, each: (entry: unknown) => boolean): boolean =>
    Array.isArray(value) && value.length === length && value.every(each);
  const fits = lists(picks, picks?.length, (head) => lists(head, count, (list) => lists(list, slots, isBlock)));
  if (slots === 0 || !fits) {
    throw new OptionError(
      `pickedBlocks: picks must be, for each head, ${count} lists of equally many blocks from 0 to ${count - 1}.`,
    );
  }
  const tables = Array.from({ length: slots }, (_, slot) =>
    tableOf('picks', Int32Array.from(picks.flatMap((head) => head.map((list) => list[slot]!))), [picks.length, count]),
  );
  return new Mask(`pickedBlocks({ numBlocks: ${count}, picks })`, ({ S }) => {
    const blockOf = blocksOf(count, S);
    const [from, to] = [blockOf(q), blockOf(k)];
    return tables
      .map((table): Bool => lookup(table, h.mod(picks.length), from).eq(to))
      .reduce((any, one) => any.or(one));
  });
}
