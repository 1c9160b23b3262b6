import { expect, test } from 'vitest';
import { OptionError } from '../../src/core/errors.js';
import { Batches, openCorpus, spanBatches, spanPlan } from '../../src/data/index.js';
import { corruptSpans } from '../../src/data/span-corruption.js';
import { fileOf } from './folder.js';

const text = Int32Array.from({ length: 100 }, (_, i) => (7 * i) % 50);
const corrupt = (seed: number, window = text, share = 0.15, span = 3) =>
  corruptSpans(window, { share, span, sentinel: 50, seed, purpose: 'test' });

test('a share that leaves next to nothing, and the longest source', () => {
  expect(() => spanPlan(16, { share: 1 - 1e-9, span: 1e9 })).toThrow(
    /stands for more than 2147483647; take a smaller share\.$/,
  );
  // what is given as undefined is not given
  expect(spanPlan(90, { share: undefined, span: undefined } as object)).toEqual(spanPlan(90));
  const long = spanPlan(2 ** 30);
  expect(long.source).toBe(2 ** 30);
});

test('a window is the longest whose source fits: worked by hand, and T5’s own sizes', () => {
  // 100 tokens: 15 asked for in 5 spans, so 85 + 5 are seen
  expect(spanPlan(90)).toEqual({ window: 100, asked: 15, spans: 5, source: 90, targets: 20, sentinels: 6 });
  // with the end of the sequence in both, inputs of 512 come of 568 tokens, and targets of 114 (section 3.1.4)
  expect(spanPlan(511)).toMatchObject({ window: 568, source: 511, targets: 113 });
  for (const length of [2, 3, 17, 256, 1024]) {
    for (const [share, span] of [
      [0.15, 3],
      [0.5, 8],
      [0.01, 1],
      [0.8, 2],
    ] as const) {
      const plan = spanPlan(length, { share, span });
      expect(plan.source).toBeLessThanOrEqual(length);
      expect(spanPlan(length + 1, { share, span }).window).toBeGreaterThanOrEqual(plan.window);
    }
  }
});

test('with the spans in place of the sentinels, the source is the text', () => {
  for (let seed = 0; seed < 50; seed++) {
    const [share, span] = (
      [
        [0.15, 3],
        [0.5, 1],
        [0.3, 10],
      ] as const
    )[seed % 3]!;
    const { source, sequence } = corrupt(seed, text, share, span);
    const spans: number[][] = [];
    sequence.forEach((token) => (token >= 50 ? spans.push([]) : spans.at(-1)!.push(token)));
    expect(spans.pop()).toEqual([]);
    expect([...source].flatMap((token) => (token >= 50 ? spans[token - 50]! : [token]))).toEqual([...text]);
    expect(sequence.filter((token) => token >= 50)).toEqual(
      Int32Array.from({ length: spans.length + 1 }, (_, i) => 50 + i),
    );
    expect(spans.every((one) => one.length > 0)).toBe(true);
    expect(spans.flat()).toHaveLength(Math.round(100 * share));
  }
  expect(corrupt(1)).toEqual(corrupt(1));
  expect(corrupt(1)).not.toEqual(corrupt(2));
});

test('batches: targets are the tokens one later; all follows from seed and step', () => {
  const source = openCorpus([fileOf(Uint8Array.from({ length: 900 }, (_, i) => i % 256))]);
  const { window, source: S, targets: T } = spanPlan(40);
  const windows = new Batches(source, { batchSize: 3, length: window, seed: 1 });
  const made = spanBatches(windows, { sentinel: 256, seed: 4 });
  expect(made).toMatchObject({ batchSize: 3, length: T, windows: windows.windows });
  const { inputs, counted } = made.batch(5);
  expect([inputs.source.shape, inputs.tokens.shape, inputs.targets.shape, counted]).toEqual([
    [3, S],
    [3, T],
    [3, T],
    3 * T,
  ]);
  for (let row = 0; row < 3; row++) {
    const [tokens, targets] = [inputs.tokens, inputs.targets].map(({ data }) => data.subarray(row * T, (row + 1) * T));
    expect(tokens![0]).toBe(256);
    expect(targets!.subarray(0, T - 1)).toEqual(tokens!.subarray(1));
  }
  expect(spanBatches(windows, { sentinel: 256, seed: 4 }).batch(5)).toEqual(made.batch(5));
  expect(spanBatches(windows, { sentinel: 256, seed: 5 }).batch(5)).not.toEqual(made.batch(5));
  const ordered = new Batches(source, { batchSize: windows.windows, length: window, order: 'sequential' });
  const fixed = spanBatches(ordered, { sentinel: 256, fixed: true });
  expect(fixed.batch(1)).toEqual(fixed.batch(0));
});

test('refusals', () => {
  expect(() => spanPlan(1)).toThrow(OptionError);
  expect(() => spanPlan(40, { share: 0 })).toThrow(/share must be/);
  expect(() => spanBatches({} as never, { sentinel: 256 })).toThrow(/batches must be windows/);
});
