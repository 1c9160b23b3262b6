import { expect, it } from 'vitest';
import type { AnyOptions, Mechanism } from '../../../src/attention/index.js';
import { causal as causalMask, countPairs } from '../../../src/masks/index.js';

/** Pairs of self-attention over n tokens: length, options, whether causal, pairs of all heads; heads (default 1). */
export type PairCase = readonly [n: number, options: AnyOptions, causal: boolean, pairs: number, heads?: number];

/** The cost formula gives the numbers, and so does counting the pattern of the mechanism. */
export function countsPairs(mechanism: unknown, cases: readonly PairCase[]): void {
  const one = mechanism as Mechanism;
  for (const [n, options, causal, pairs, heads = 1] of cases) {
    it(`counts its pairs: n = ${n}, ${JSON.stringify(options)}, causal ${causal}: ${pairs}`, () => {
      const shape = { B: 1, H: heads, G: heads, L: n, S: n, D: 8, E: 8 };
      const settings = { ...options, causal } as never;
      const pattern = one.pattern(shape, settings)!;
      expect(countPairs(causal ? causalMask().and(pattern) : pattern, shape)).toBe(pairs);
      expect(one.cost(shape, settings).pairs).toBe(pairs);
    });
  }
}

/** The cost formula counts the pairs of the pattern, for lengths that are no multiple of anything and for decoding. */
export function countsAnyLength(mechanism: unknown, optionSets: readonly AnyOptions[], heads = 3): void {
  const one = mechanism as Mechanism;
  const decodes = one.definition.supports.decode === 'cache';
  it.each(optionSets)('counts its pairs at any length: %j', (options) => {
    for (const n of [1, 2, 7, 31, 64, 100, 131]) {
      const calls: (readonly [L: number, causal: boolean])[] = [
        [n, false],
        [n, true],
      ];
      if (decodes) calls.push([Math.ceil(n / 3), true]);
      for (const [L, causal] of calls) {
        const shape = { B: 1, H: heads, G: 1, L, S: n, D: 8, E: 8 };
        const settings = { ...options, causal };
        const pattern = one.pattern(shape, settings)!;
        const counted = countPairs(causal ? causalMask().and(pattern) : pattern, shape);
        expect(one.cost(shape, settings as never).pairs, JSON.stringify({ ...settings, L, n })).toBe(counted);
      }
    }
  });
}
