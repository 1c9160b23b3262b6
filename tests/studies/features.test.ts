import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { textFeatures } from '../../src/studies/features.js';
import { keysSeen, sampleRows } from '../../src/studies/reference.js';

const novel = new Uint8Array(readFileSync(new URL('../../assets/pride-and-prejudice.txt', import.meta.url)));
const options = { heads: 2, headDim: 16, seed: 3 };

test('the same text and seed give the same bits, another seed gives others', () => {
  const a = textFeatures(novel.subarray(0, 200), options);
  expect(textFeatures(novel.subarray(0, 200), options)).toEqual(a);
  expect(textFeatures(novel.subarray(0, 200), { ...options, seed: 4 }).q).not.toEqual(a.q);
});

test('a position depends on what is before it only', () => {
  const [short, long] = [100, 300].map((n) => textFeatures(novel.subarray(0, n), options));
  for (const name of ['q', 'k', 'v'] as const) {
    for (let h = 0; h < 2; h++) {
      const size = 100 * 16;
      expect(long![name].subarray(h * 300 * 16, h * 300 * 16 + size)).toEqual(
        short![name].subarray(h * size, (h + 1) * size),
      );
    }
  }
});

test.each([1, 7, 8, 64, 256])('features of size %i are finite', (headDim) => {
  const { q, k, v } = textFeatures(novel.subarray(0, 40), { heads: 1, headDim, seed: 0 });
  for (const x of [q, k, v]) {
    expect(x).toHaveLength(40 * headDim);
    expect(x.every(Number.isFinite)).toBe(true);
    expect(x.some((value) => value !== 0)).toBe(true);
  }
});

describe('attention on the features', () => {
  const problem = textFeatures(novel.subarray(0, 2048), { heads: 4, headDim: 64, seed: 0 });
  const { heads, length, headDim: D, q, k } = problem;
  const sees = keysSeen({ causal: false, mask: undefined }, problem);
  const weights = sampleRows(heads, length, 4, 0).map((row) => {
    const query = (row.h * length + row.i) * D;
    const scores = Array.from({ length }, (_, j) => {
      let dot = 0;
      for (let d = 0; d < D; d++) dot += q[query + d]! * k[(row.h * length + j) * D + d]!;
      return sees(row, j) ? dot / Math.sqrt(D) : -Infinity;
    });
    const max = Math.max(...scores);
    const powers = scores.map((score) => Math.exp(score - max));
    const sum = powers.reduce((a, b) => a + b);
    return { row, p: powers.map((power) => power / sum) };
  });

  test('is neither uniform nor one-hot', () => {
    for (const { p } of weights) {
      const keys = Math.exp(p.reduce((entropy, x) => entropy - (x > 0 ? x * Math.log(x) : 0), 0));
      expect(keys).toBeGreaterThan(4);
      expect(keys).toBeLessThan(length / 4);
    }
  });

  test('is mostly but not only near', () => {
    const near = weights.map(({ row, p }) => p.filter((_, j) => Math.abs(j - row.i) <= 64).reduce((a, b) => a + b));
    const mean = near.reduce((a, b) => a + b) / near.length;
    expect(mean).toBeGreaterThan(0.4);
    expect(mean).toBeLessThan(0.99);
  });
});
