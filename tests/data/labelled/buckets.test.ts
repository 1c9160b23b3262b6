import { describe, expect, test } from 'vitest';
import { LabelledBatches, type BucketOptions } from '../../../src/data/labelled/buckets.js';
import { joined, lengthOf, longestOf, pick } from '../../../src/data/labelled/examples.js';
import { wordEncoder, wordsOf } from '../../../src/data/labelled/words.js';

/** Example i has i mod 7 + 1 tokens i. */
const examples = joined(
  Array.from({ length: 40 }, (_, i) => new Int32Array((i % 7) + 1).fill(i)),
  Array.from({ length: 40 }, (_, i) => i % 3),
);
const batches = (options: Partial<BucketOptions> = {}) =>
  new LabelledBatches(examples, { batchSize: 4, lengths: [3, 5, 8], shuffled: { seed: 2 }, ...options });

/** The examples of a batch, each row checked. */
function rowsOf(source: LabelledBatches, step: number): number[] {
  const { inputs, counted } = source.batch(step);
  const [rows, length] = inputs.tokens.shape as [number, number];
  expect([inputs.targets.shape, counted]).toEqual([[rows], rows]);
  return Array.from({ length: rows }, (_, row) => {
    const own = inputs.tokens.data.subarray(row * length, (row + 1) * length);
    const index = own[0]!;
    const real = lengthOf(examples, index);
    expect([...own]).toEqual([...Array<number>(real).fill(index), ...Array<number>(length - real).fill(0)]);
    expect(inputs.targets.data[row]).toBe(index % 3);
    expect(inputs.lengths?.[row] ?? length).toBe(real);
    return index;
  });
}

describe('batches by length', () => {
  test('every example once an epoch, padded to the next length alone', () => {
    const source = batches();
    // lengths 1–3: 18 examples, 4–5: 12, 6–7: 10
    expect(source.count).toBe(5 + 3 + 3);
    for (const epoch of [0, 1]) {
      const all = Array.from({ length: source.count }, (_, i) => rowsOf(source, epoch * source.count + i));
      expect(all.flat().sort((a, b) => a - b)).toEqual(Array.from({ length: 40 }, (_, i) => i));
      const widths = Array.from(
        { length: source.count },
        (_, i) => source.batch(epoch * source.count + i).inputs.tokens.shape[1],
      );
      expect([...widths].sort((a, b) => a! - b!)).toEqual([3, 3, 3, 3, 3, 5, 5, 5, 8, 8, 8]);
      expect(widths).not.toEqual([...widths].sort((a, b) => a! - b!));
    }
  });

  test('follow from seed and step; epochs differ', () => {
    const [a, b] = [batches(), batches()];
    for (const step of [25, 3, 0, 12]) expect(a.batch(step)).toEqual(b.batch(step));
    const epoch = (source: LabelledBatches, first: number) =>
      Array.from({ length: 11 }, (_, i) => String(rowsOf(source, first + i)));
    expect(epoch(a, 0)).not.toEqual(epoch(a, 11));
    expect(epoch(a, 0)).not.toEqual(epoch(batches({ shuffled: { seed: 3 } }), 0));
  });

  test('where nothing is padded, each batch is of one length', () => {
    const source = batches({ lengths: undefined });
    const all = Array.from({ length: source.count }, (_, i) => {
      expect(source.batch(i).inputs.lengths).toBeUndefined();
      return rowsOf(source, i);
    });
    expect(all.flat()).toHaveLength(40);
    for (const rows of all) expect(new Set(rows.map((index) => index % 7)).size).toBe(1);
  });

  test('not shuffled: by length, in order', () => {
    const source = batches({ shuffled: undefined });
    expect(rowsOf(source, 0)).toEqual([0, 1, 2, 7]);
    expect(source.batch(source.count + 1)).toEqual(source.batch(1));
  });
});

test('examples are picked and measured', () => {
  expect(longestOf(examples, 5)).toEqual({ longest: 7, longer: 10 });
  const two = pick(examples, [9, 1]);
  expect([[...two.tokens], [...two.starts], [...two.labels]]).toEqual([
    [9, 9, 9, 1, 1],
    [0, 3, 5],
    [0, 1],
  ]);
  expect(joined([Uint8Array.of(1)], [0]).tokens).toBeInstanceOf(Uint8Array);
});

test('words: most frequent first, unknown ones are 0, some are left out', () => {
  const texts = ['b a ( a', 'c  a\tb ('].map((one) => ({ text: new TextEncoder().encode(one) }));
  expect(wordsOf(texts, [])).toEqual(['a', '(', 'b', 'c']);
  expect(wordsOf(texts, ['('])).toEqual(['a', 'b', 'c']);
  expect([...wordEncoder(['a', 'b'], ['('])(new TextEncoder().encode('( b x a'))]).toEqual([2, 0, 1]);
});
