// of data/ngram/grams

import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { OptionError } from '../../../src/core/errors.js';
import { Ngram, openCorpus } from '../../../src/data/index.js';
import { generator } from '../../support/random.js';
import { fileOf } from '../folder.js';

const modelOf = (text: string | Uint8Array, order?: number): Ngram =>
  new Ngram(openCorpus([fileOf(text)]), order === undefined ? {} : { order });

/** The definition, over maps of strings of one character a byte. */
function naive(text: string, n: number): (history: string, next: string) => number {
  const of = (k: number): string[] =>
    Array.from({ length: Math.max(0, text.length - k + 1) }, (_, i) => text.slice(i, i + k));
  const counts = Array.from({ length: n + 1 }, (_, k) => {
    const count = new Map<string, number>();
    const add = (gram: string): unknown => count.set(gram, (count.get(gram) ?? 0) + 1);
    if (k === n) of(n).forEach(add);
    else new Set(of(k + 1)).forEach((longer) => add(longer.slice(1)));
    return count;
  });
  const discount = (k: number): number[] => {
    const [n1, n2, n3, n4] = [1, 2, 3, 4].map((r) => [...counts[k]!.values()].filter((c) => c === r).length) as [
      number,
      number,
      number,
      number,
    ];
    const y = n1 / (n1 + 2 * n2);
    const d = [1 - 2 * y * (n2 / n1), 2 - 3 * y * (n3 / n2), 3 - 4 * y * (n4 / n3)];
    return d.some((x, i) => !(x >= 0 && x <= i + 1)) ? [0.5, 1, 1.5] : d;
  };
  const discounts = counts.map((_, k) => (k === 0 ? [] : discount(k)));
  const p = (history: string, next: string, k: number): number => {
    if (k === 0) return 1 / 256;
    const context = k === 1 ? '' : history.slice(1 - k);
    const lower = p(history, next, k - 1);
    if (context.length < k - 1) return lower;
    const after = [...counts[k]!].filter(([gram]) => gram.slice(0, -1) === context);
    const total = after.reduce((sum, [, c]) => sum + c, 0);
    if (total === 0) return lower;
    const off = (c: number): number => discounts[k]![Math.min(c, 3) - 1]!;
    const c = counts[k]!.get(context + next) ?? 0;
    return (c === 0 ? 0 : c - off(c)) / total + (after.reduce((sum, [, c]) => sum + off(c), 0) / total) * lower;
  };
  return (history, next) => p(history, next, n);
}

/** Text with few words, so that all counts occur. */
function babble(seed: number, length: number, letters = 'abc d'): string {
  const next = generator(seed);
  return Array.from({ length }, () => letters[Math.floor(next() ** 2 * letters.length)]).join('');
}
const bytesOf = (text: string): number[] => [...Buffer.from(text, 'latin1')];

describe('Ngram', () => {
  test('worked by hand: "abab" in pairs', () => {
    const model = modelOf('abab', 2);
    // each letter is preceded by one: (1 − 0.5)/2 + 0.5·2/2 · 1/256; then twice "ab" of two: (2 − 1)/2 + 1·1/2 of that
    const single = 0.25 + 0.5 / 256;
    expect(model.probability([], 98)).toBeCloseTo(single, 14);
    expect(model.probability([97], 98)).toBeCloseTo(0.5 + 0.5 * single, 14);
    expect(model.probability([97], 97)).toBeCloseTo(0.5 * single, 14);
    expect(model.probability([120], 98)).toBe(model.probability([], 98));
    expect(model.probability([98], 120)).toBeCloseTo(((0.5 / 1) * 0.5) / 256, 14);
  });

  test.each([1, 2, 3, 5, 8])('order %d: the probabilities of the definition', (order) => {
    // the largest bytes too: keys are unsigned
    const text = babble(order, 1500, 'ab\xff\xfe ');
    const model = modelOf(Buffer.from(text, 'latin1'), order);
    const expected = naive(text, order);
    const other = babble(90 + order, 60, 'ab\xff\xfe x');
    for (let i = 0; i < other.length; i++) {
      const history = other.slice(0, i);
      const p = expected(history, other[i]!);
      expect(Math.abs(model.probability(bytesOf(history), other.charCodeAt(i)) - p)).toBeLessThanOrEqual(1e-13 * p);
    }
  });

  test('any bytes, any text of any length: as defined, and the 256 probabilities have the sum 1', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 1, maxLength: 30, max: 3 }),
        fc.integer({ min: 1, max: 8 }),
        fc.uint8Array({ maxLength: 9, max: 4 }),
        (bytes, order, history) => {
          const model = modelOf(bytes, order);
          const expected = naive(Buffer.from(bytes).toString('latin1'), order);
          const text = Buffer.from(history).toString('latin1');
          let sum = 0;
          for (let next = 0; next < 256; next++) {
            const p = model.probability(history, next);
            expect(p).toBeGreaterThan(0);
            sum += p;
            if (next < 5) expect(p).toBeCloseTo(expected(text, String.fromCharCode(next)), 13);
          }
          expect(sum).toBeCloseTo(1, 12);
        },
      ),
      { numRuns: 100 },
    );
  });

  test('scores a text as the mean of −log₂ p, over the ends of blocks and documents', () => {
    const train = openCorpus([fileOf(babble(1, 50_000)), fileOf(babble(2, 30_000))]);
    const model = new Ngram(train);
    const other = babble(3, 70_000);
    const { bitsPerByte, bytes } = model.score(openCorpus([fileOf(other.slice(0, 1000)), fileOf(other.slice(1000))]));
    expect(bytes).toBe(70_000);
    const all = bytesOf(other);
    let bits = 0;
    for (let i = 0; i < all.length; i++)
      bits -= Math.log2(model.probability(all.slice(Math.max(0, i - 4), i), all[i]!));
    expect(bitsPerByte).toBeCloseTo(bits / 70_000, 10);
    expect(new Ngram(train).score(openCorpus([fileOf(other)])).bitsPerByte).toBe(bitsPerByte);
  });

  test('bytes without a pattern cost at least eight bits; what was learned by heart, next to nothing', () => {
    const noise = (seed: number): Uint8Array => {
      const next = generator(seed);
      return Uint8Array.from({ length: 20_000 }, () => Math.floor(256 * next()));
    };
    const model = modelOf(noise(1));
    expect(model.score(openCorpus([fileOf(noise(2))])).bitsPerByte).toBeGreaterThan(8);
    expect(model.score(openCorpus([fileOf(noise(2))])).bitsPerByte).toBeLessThan(8.5);
    const rhyme = 'by heart, '.repeat(500);
    expect(modelOf(rhyme).score(openCorpus([fileOf(rhyme)])).bitsPerByte).toBeLessThan(0.05);
  });

  test('refusals', () => {
    for (const order of [0, 9, 1.5, NaN]) expect(() => modelOf('text', order)).toThrow(OptionError);
    expect(() => new Ngram(openCorpus([fileOf('text')]), { Order: 3 } as object)).toThrow('did you mean "order"?');
  });
});
