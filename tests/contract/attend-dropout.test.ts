import { describe, expect, test } from 'vitest';
import { philox, seedKey } from '../../src/core/random.js';
import * as masks from '../../src/masks/index.js';
import type { AttendOptions } from '../../src/ops/attend.js';
import type { AttendProblem, Pair } from '../oracles/attend.js';
import { expectedOf, expectResults } from '../oracles/attend-budget.js';
import * as rules from '../oracles/rules.js';
import { expectSameBits } from '../support/compare.js';
import { onEveryDevice, withThreads, type OnDevice } from '../support/devices.js';
import { inputs, type Shape } from '../ops/attend-arbitrary.js';
import { run } from '../ops/attend-run.js';

const D = 16;
const rate = 0.3;

/** The size of values that tell keys apart; the same for all lengths, so that few kernels are compiled. */
const E = 144;

/** Values that are the unit vectors: out_ij is then the weight of the pair (i, j), after dropout. */
function oneHot({ B, G, S }: Shape): Float32Array {
  return Float32Array.from({ length: B * G * S * E }, (_, n) => Number(Math.floor(n / E) % S === n % E));
}

/** The weights after dropout, `[B, H, L, S]`. */
async function weightsOf(on: OnDevice, shape: Shape, options: AttendOptions, seed = 50): Promise<Float32Array> {
  const { problem } = inputs(shape, D, 1, seed);
  const { results } = await run(on.device, { problem: { ...problem, E, v: oneHot(shape) }, options: () => options });
  return Float32Array.from(results['out']!).filter((_, n) => n % E < shape.S);
}

/** What the documentation says of the pairs that are kept: words of Philox at (query, key / 4, head), keyed by the seed. */
const kept =
  (shape: Shape, dropout: { rate: number; seed: number }) =>
  ({ b, h, i, j }: Pair): boolean => {
    const words = philox([i, j >>> 2, b * shape.H + h, 0], seedKey(dropout.seed));
    return words[j % 4]! >>> 1 < Math.round((1 - dropout.rate) * 2 ** 31);
  };

function forEachPair({ B, H, L, S }: Shape, body: (at: Pair, n: number) => void): void {
  for (let n = 0; n < B * H * L * S; n++) {
    const row = Math.floor(n / S);
    body({ b: Math.floor(row / (H * L)), h: Math.floor(row / L) % H, i: row % L, j: n % S }, n);
  }
}

const shape = { B: 2, H: 4, G: 2, L: 70, S: 90 };

onEveryDevice((on) => {
  test('rate 0 is no dropout, to the bit', async () => {
    const { problem, cotangents } = inputs(shape, D, D, 51);
    const { results: none } = await run(on.device, { problem, cotangents });
    const { results: zero } = await run(on.device, {
      problem,
      cotangents,
      options: () => ({ dropout: { rate: 0, seed: 4 } }),
    });
    for (const [name, numbers] of Object.entries(none)) expectSameBits(name, zero[name]!, numbers);
  });

  test.each([0, 7, 2 ** 32 + 5, 2 ** 53 - 1])(
    'keeps the pairs that the seed %i says, on every device and thread',
    async (seed) => {
      const dropout = { rate, seed };
      const [weights, one] = [await weightsOf(on, shape, { dropout }), await weightsOf(on, shape, {})];
      const rule = kept(shape, dropout);
      forEachPair(shape, (at, n) => {
        const want = rule(at) ? one[n]! / (1 - rate) : 0;
        if (!(Math.abs(weights[n]! - want) <= 1e-6 * Math.abs(want))) expect(weights[n], JSON.stringify(at)).toBe(want);
      });
      if (seed !== 7) return;
      const threads = await withThreads(on.kind, [1, 3], (device) => weightsOf({ ...on, device }, shape, { dropout }));
      for (const other of threads) expectSameBits('weights', other, weights);
    },
  );

  test.each([
    ['a window', masks.within({ left: 20, right: 20 }), rules.window(20, 20)],
    ['dilation', masks.dilated({ dilation: 3, radiusSlots: 9 }), rules.dilated(3, 9)],
    ['two parts that are merged', masks.strided({ stride: 12 }), rules.strided(12)],
  ] as const)('a mask does not change which pairs are dropped: %s', async (_, mask, rule) => {
    const square = { B: 1, H: 2, G: 2, L: 144, S: 144 };
    const dropout = { rate, seed: 7 };
    const weights = await weightsOf(on, square, { mask, dropout });
    const [allowed, keeps] = [rule(square), kept(square, dropout)];
    forEachPair(square, (at, n) => {
      if ((weights[n] !== 0) !== (allowed(at) && keeps(at)))
        expect(weights[n], JSON.stringify(at)).toBe(Number(keeps(at)));
    });
  });

  test('forward and recomputing backward drop the same pairs', async () => {
    const { problem, cotangents } = inputs(shape, D, D, 52);
    const dropout = { rate, seed: 8 };
    const { results } = await run(on.device, { problem, cotangents, options: () => ({ causal: true, dropout }) });
    // which pairs were kept is read off the kernel itself
    const uniform = { ...problem, q: new Float32Array(problem.q.length), E, v: oneHot(shape) };
    const weights = (await run(on.device, { problem: uniform, options: () => ({ dropout }) })).results['out']!;
    const keep = ({ b, h, i, j }: Pair): number =>
      weights[((b * shape.H + h) * shape.L + i) * E + j] === 0 ? 0 : 1 / (1 - rate);
    const dropped: AttendProblem = { ...problem, allowed: rules.causal(shape), keep };
    expectResults('dropout', results, expectedOf(dropped, cotangents));
    // mutant: one pair kept that was dropped
    const lost = [...Array(shape.S).keys()].find((j) => keep({ b: 0, h: 0, i: shape.L - 1, j }) === 0);
    const wrong = (at: Pair): number =>
      at.b + at.h === 0 && at.i === shape.L - 1 && at.j === lost ? 1 / (1 - rate) : keep(at);
    expect(() => expectResults('mutant', results, expectedOf({ ...dropped, keep: wrong }, cotangents))).toThrow(
      'numbers off',
    );
  });

  describe('what is kept, over many seeds', () => {
    const small = { B: 1, H: 2, G: 2, L: 16, S: 32 };
    const seeds = Array.from({ length: 150 }, (_, i) => 1000 + i);

    test('the share and the expected weights are right within 3 standard errors, and pairs are independent', async () => {
      const one = await weightsOf(on, small, {});
      const sums = new Float64Array(one.length);
      let [pairs, keptPairs, bothKept, neighbours, squares] = [0, 0, 0, 0, 0];
      for (const seed of seeds) {
        const weights = await weightsOf(on, small, { dropout: { rate, seed } });
        forEachPair(small, ({ j }, n) => {
          pairs++;
          keptPairs += Number(weights[n] !== 0);
          sums[n]! += weights[n]!;
          if (j === 0) return;
          neighbours++;
          bothKept += Number(weights[n] !== 0 && weights[n - 1] !== 0);
        });
      }
      const within = (got: number, want: number, standardError: number): void =>
        expect(Math.abs(got - want), `${got}, want ${want}`).toBeLessThan(3 * standardError);
      within(keptPairs / pairs, 1 - rate, Math.sqrt((rate * (1 - rate)) / pairs));
      const bothShare = (1 - rate) ** 2;
      // pairs of neighbours overlap, which makes their mean a little less certain than if they did not
      within(bothKept / neighbours, bothShare, 1.5 * Math.sqrt((bothShare * (1 - bothShare)) / neighbours));
      // each weight's mean over the seeds has the standard error w·√(rate / (1 − rate) / seeds)
      sums.forEach((sum, n) => {
        const error = (sum / seeds.length - one[n]!) / (one[n]! * Math.sqrt(rate / (1 - rate) / seeds.length));
        squares += error ** 2;
        expect(Math.abs(error)).toBeLessThan(5);
      });
      within(squares / sums.length, 1, Math.sqrt(2 / sums.length));
    });
  });
});
