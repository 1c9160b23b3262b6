import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { OptionError } from '../../src/core/errors.js';
import { permutation } from '../../src/data/index.js';

const all = (seed: number, purpose: string, n: number): number[] =>
  Array.from({ length: n }, (_, place) => permutation(seed, purpose, n)(place));

const isPermutation = (numbers: readonly number[]): boolean => {
  const seen = new Uint8Array(numbers.length);
  for (const number of numbers) seen[number] = 1;
  return seen.every((one) => one === 1);
};

describe('permutation', () => {
  test('every size from 1 to 130, and sizes around powers of 4', () => {
    const sizes = [...Array.from({ length: 130 }, (_, i) => i + 1), 255, 256, 257, 1023, 1024, 1025, 4096, 4099];
    for (const n of sizes) {
      const order = permutation(n, 'x', n);
      expect(isPermutation(Array.from({ length: n }, (_, place) => order(place)))).toBe(true);
    }
  });

  test('random sizes, seeds and purposes', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 400 }), fc.maxSafeNat(), fc.string(), (n, seed, purpose) =>
        isPermutation(all(seed, purpose, n)),
      ),
      { numRuns: 40 },
    );
  });

  test('sets too large to list: in range, and no two of some places are equal', () => {
    for (const n of [2 ** 31 - 1, 2 ** 32 + 1, 10 ** 12 + 39, 2 ** 52]) {
      const order = permutation(1, 'x', n);
      const places = Array.from({ length: 200 }, (_, i) => (i < 100 ? i : n - 1 - i));
      const images = places.map(order);
      expect(images.every((image) => Number.isSafeInteger(image) && image >= 0 && image < n)).toBe(true);
      expect(new Set(images).size).toBe(places.length);
    }
  });

  test('the same numbers give the same order for ever', () => {
    expect(all(1, 'data.order.0', 10)).toEqual(PINNED);
    expect(all(1, 'data.order.1', 10)).not.toEqual(PINNED);
    expect(all(2, 'data.order.0', 10)).not.toEqual(PINNED);
  });

  /** Bounds are five standard errors of the draws, which are fixed. */
  test.each([2, 3, 5, 16, 17])('%d numbers: each is about equally often at each place', (n) => {
    const draws = 2000;
    const counts = new Float64Array(n * n);
    for (let seed = 0; seed < draws; seed++) all(seed, 'x', n).forEach((image, place) => counts[place * n + image]!++);
    for (const count of counts) {
      expect(Math.abs(count - draws / n)).toBeLessThan(5 * Math.sqrt((draws / n) * (1 - 1 / n)));
    }
  });

  test('three numbers: all six orders occur', () => {
    const orders = new Set(Array.from({ length: 200 }, (_, seed) => all(seed, 'x', 3).join()));
    expect(orders.size).toBe(6);
  });

  test('neighbours do not stay neighbours', () => {
    const order = all(3, 'x', 1000);
    const near = order.filter((image, place) => place > 0 && Math.abs(image - order[place - 1]!) === 1).length;
    // two are expected by chance
    expect(near).toBeLessThan(12);
  });

  test('refusals', () => {
    for (const n of [0, -1, 1.5, NaN, 2 ** 52 + 2]) expect(() => permutation(0, 'x', n)).toThrow(OptionError);
    for (const place of [-1, 3, 0.5, NaN]) expect(() => permutation(0, 'x', 3)(place)).toThrow(OptionError);
    expect(() => permutation(-1, 'x', 3)).toThrow('seed must be');
  });
});

const PINNED = [4, 2, 1, 9, 8, 7, 5, 0, 3, 6];
