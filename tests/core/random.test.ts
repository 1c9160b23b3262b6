import { expect, test } from 'vitest';
import { OptionError } from '../../src/core/errors.js';
import { normal, philox, purposeWords, seedKey, uniform, words } from '../../src/core/random.js';

// the known answers published with Random123, file tests/kat_vectors, lines "philox4x32 10"
test.each([
  {
    counter: [0, 0, 0, 0],
    key: [0, 0],
    answer: [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8],
  },
  {
    counter: [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
    key: [0xffffffff, 0xffffffff],
    answer: [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
  },
  {
    counter: [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
    key: [0xa4093822, 0x299f31d0],
    answer: [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
  },
] as const)('philox4x32-10 of $counter', ({ counter, key, answer }) => {
  expect(philox(counter, key)).toEqual(answer);
});

test('number i of a stream is word i mod 4 of block i / 4, under the documented layout', () => {
  const seed = 2 ** 40 + 5;
  const purpose = purposeWords('dropout');
  const expected = [0, 1, 2].flatMap((block) => philox([block, 0, ...purpose], seedKey(seed)));
  expect([...words(seed, 'dropout', 11)]).toEqual(expected.slice(0, 11));
});

test.each([words, uniform, normal])('%o: a shorter draw is a prefix of a longer one', (draw) => {
  const long = draw(3, 'x', 101);
  for (const n of [0, 1, 2, 3, 4, 5, 97]) expect([...draw(3, 'x', n)]).toEqual([...long.subarray(0, n)]);
});

test('seeds and purposes give different streams', () => {
  const streams = [
    words(1, 'a', 64),
    words(2, 'a', 64),
    words(1 + 2 ** 32, 'a', 64),
    words(1, 'b', 64),
    words(1, '', 64),
    words(1, 'aa', 64),
  ].map(String);
  expect(new Set(streams).size).toBe(streams.length);
});

test('purposes of a large model do not collide', () => {
  const seen = new Set<string>();
  for (let layer = 0; layer < 1000; layer++) {
    for (const part of ['q.weight', 'k.weight', 'v.weight', 'o.weight', 'dropout']) {
      seen.add(purposeWords(`layers.${layer}.${part}`).join());
    }
  }
  expect(seen.size).toBe(5000);
});

/** Bounds are five standard errors of n = 100,000 draws; the draws are fixed, so the test is too. */
test('uniform: in [0, 1), right mean and variance, every decile filled', () => {
  const n = 100_000;
  const draw = uniform(7, 'moments', n);
  const deciles = new Array<number>(10).fill(0);
  let sum = 0;
  let squares = 0;
  expect(draw.every((u) => u >= 0 && u < 1)).toBe(true);
  for (const u of draw) {
    sum += u;
    squares += (u - 0.5) ** 2;
    deciles[Math.floor(u * 10)]!++;
  }
  expect(Math.abs(sum / n - 0.5)).toBeLessThan(5 * Math.sqrt(1 / 12 / n));
  expect(Math.abs(squares / n - 1 / 12)).toBeLessThan(5 * Math.sqrt(1 / 180 / n));
  for (const count of deciles) expect(Math.abs(count - n / 10)).toBeLessThan(5 * Math.sqrt(n * 0.09));
});

test('normal: finite, right first four moments, neighbours uncorrelated', () => {
  const n = 100_000;
  const draw = normal(7, 'moments', n);
  const moment = (f: (i: number) => number): number => {
    let sum = 0;
    for (let i = 0; i < n; i++) sum += f(i);
    return sum / n;
  };
  expect(draw.every(Number.isFinite)).toBe(true);
  expect(Math.abs(moment((i) => draw[i]!))).toBeLessThan(5 / Math.sqrt(n));
  expect(Math.abs(moment((i) => draw[i]! ** 2) - 1)).toBeLessThan(5 * Math.sqrt(2 / n));
  expect(Math.abs(moment((i) => draw[i]! ** 3))).toBeLessThan(5 * Math.sqrt(15 / n));
  expect(Math.abs(moment((i) => draw[i]! ** 4) - 3)).toBeLessThan(5 * Math.sqrt(96 / n));
  expect(Math.abs(moment((i) => draw[i]! * draw[(i + 1) % n]!))).toBeLessThan(5 / Math.sqrt(n));
});

test.each([-1, 0.5, NaN, 2 ** 53, Infinity])('seed %d is refused', (seed) => {
  expect(() => uniform(seed, 'x', 1)).toThrow(OptionError);
  expect(() => uniform(seed, 'x', 1)).toThrow(/seed must be a whole number/);
});

test.each([-1, 1.5, NaN])('%d values are refused', (n) => {
  expect(() => normal(0, 'x', n)).toThrow(OptionError);
});
