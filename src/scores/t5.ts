import { describe } from '../core/describe.js';
import { OptionError, ShapeError } from '../core/errors.js';
import { anything, checkValue, checkValues, flag, wholeNumber } from '../core/requirements.js';
import { type F32, lookup, substitute, tableOf, wrap } from '../codegen/expression/index.js';
import { Score } from './score.js';
import { checkTensor, tensorTable, type TensorLike } from './tensor.js';

export interface T5Options {
  /** Rows of the table; default 32. */
  readonly buckets?: number;
  /** Distances from here on share the last bucket; default 128. */
  readonly maxDistance?: number;
  /** Half of the buckets for keys after the query (default), or all of them for keys up to it. */
  readonly bidirectional?: boolean;
}

const requirements = { buckets: anything, maxDistance: anything, bidirectional: flag };

/**
 * The bucket of a distance by the published rule, for `relative` = key − query: single distances up to half of the buckets,
 * then logarithmic ones up to `maxDistance`. The logarithm is taken in f32, as in the reference code.
 *
 * @throws OptionError for a distance that is not an integer, or options out of range.
 */
export function t5Bucket(relative: number, options: Required<T5Options>): number {
  checkValue('t5Bucket', 'relative', relative, wholeNumber);
  const { buckets, maxDistance, bidirectional } = checkedRule('t5Bucket', options);
  const count = bidirectional ? buckets / 2 : buckets;
  const after = bidirectional && relative > 0 ? count : 0;
  const distance = bidirectional ? Math.abs(relative) : Math.max(-relative, 0);
  const exact = Math.floor(count / 2);
  if (distance < exact) return after + distance;
  const log = Math.fround(Math.log(Math.fround(distance / exact)));
  const share = Math.fround(log / Math.fround(Math.log(maxDistance / exact)));
  return after + Math.min(count - 1, exact + Math.trunc(Math.fround(share * (count - exact))));
}

/** All of the options. @throws OptionError for one that is out of range. */
function checkedRule(who: string, options: T5Options): Required<T5Options> {
  checkValues(who, options, requirements);
  const { buckets = 32, maxDistance = 128, bidirectional = true } = options;
  const sides = bidirectional ? 2 : 1;
  if (!Number.isInteger(buckets) || buckets < 2 * sides || buckets % sides !== 0) {
    throw new OptionError(
      `${who}: buckets must be ${bidirectional ? 'an even' : 'a'} whole number of at least ${2 * sides}; got ${describe(buckets)}.`,
    );
  }
  const exact = Math.floor(buckets / sides / 2);
  if (!Number.isInteger(maxDistance) || maxDistance <= exact || maxDistance >= 2 ** 24) {
    throw new OptionError(
      `${who}: maxDistance must be an integer above ${exact}, a distance with a bucket of its own; got ${describe(maxDistance)}.`,
    );
  }
  return { buckets, maxDistance, bidirectional };
}

/**
 * T5's relative position bias: `score + table[bucket(k − q), h]`, a learned table `[buckets, H]`; gradients flow to it.
 * (Raffel et al. 2019, arXiv 1910.10683.) T5 itself uses `scale: 1`.
 *
 * @throws OptionError for options out of range; ShapeError unless the table is `[buckets, H]`.
 */
export function t5Bias(table: TensorLike, options: T5Options = {}): Score {
  checkTensor('t5Bias', 'table', table);
  const rule = checkedRule('t5Bias', options);
  const { buckets, maxDistance, bidirectional } = rule;
  // every distance from maxDistance on has the bucket of maxDistance
  const lookups = tableOf(
    't5Buckets',
    Int32Array.from({ length: 2 * maxDistance + 1 }, (_, i) => t5Bucket(maxDistance - i, rule)),
  );
  const name = `t5Bias(table, { buckets: ${buckets}, maxDistance: ${maxDistance}, bidirectional: ${bidirectional} })`;
  return new Score(name, ({ score, h, q, k }, { H }) => {
    if (table.shape.length !== 2 || table.shape[0] !== buckets || table.shape[1] !== H) {
      throw new ShapeError(`t5Bias: table must be [buckets,H]=[${buckets},${H}]; got [${table.shape.join(',')}].`);
    }
    const distance = q.sub(k).max(-maxDistance).min(maxDistance).add(maxDistance);
    return score.add(lookup(tensorTable('t5Bias', 'table', table), lookup(lookups, distance), h));
  });
}

/** Rows of texts in blocks: the block of each row, at most the last of so many whole ones of its text. */
export interface BlockRows {
  readonly of: Int32Array;
  readonly whole: readonly number[];
}

/**
 * The same for keys that stand for blocks: `score + table[bucket(k − block(q)), h]`, as LongT5 has it beside its bias of tokens (Guo et al. 2022,
 * arXiv 2112.07916).
 *
 * @throws as `t5Bias`.
 */
export function t5BlockBias(table: TensorLike, options: T5Options, { of, whole }: BlockRows): Score {
  const bias = t5Bias(table, options);
  const blocks = tableOf('t5Blocks', of);
  const last = tableOf(
    't5LastBlocks',
    Int32Array.from(whole, (count) => count - 1),
  );
  return new Score(`${bias.toString()}.ofBlocks(rows)`, ({ b, q }, shape) => {
    const { L, S } = shape;
    const own = bias.expression(shape);
    const row = q.sub(S - L);
    return wrap(substitute(own, { q: lookup(blocks, row).min(lookup(last, b)) })) as F32;
  });
}
