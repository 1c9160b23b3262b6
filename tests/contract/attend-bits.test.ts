import { describe, expect, test } from 'vitest';
import * as masks from '../../src/masks/index.js';
import type { AttendOptions } from '../../src/ops/attend.js';
import { t5Bias } from '../../src/scores/index.js';
import type { Tensor } from '../../src/tensor/index.js';
import { expectedOf, expectResults, type Results } from '../oracles/attend-budget.js';
import * as rules from '../oracles/rules.js';
import { expectSameBits } from '../support/compare.js';
import { onEveryDevice, withThreads } from '../support/devices.js';
import { normal } from '../support/random.js';
import { inputs } from '../ops/attend-arbitrary.js';
import { run, type Setting } from '../ops/attend-run.js';
import { full } from '../support/full.js';

const D = 16;

function expectEqualBits(who: string, got: Results, want: Results): void {
  expect(Object.keys(got)).toEqual(Object.keys(want));
  for (const [name, numbers] of Object.entries(want)) expectSameBits(`${who}: ${name}`, got[name]!, numbers);
}

// more rows than two chunks of the backward pass, so that several tasks add to the same rows
const long = { B: 1, H: 4, G: 2, L: 900, S: 900 };
const table = { data: normal(3, 8 * long.H), shape: [8, long.H] };
const cases: readonly (readonly [string, Setting])[] = [
  ['causal', { ...inputs(long, D, D, 21), options: () => ({ causal: true }) }],
  [
    'window, learned bias and dropout',
    {
      ...inputs(long, D, D, 22),
      tables: [table],
      options: ([learned]: readonly Tensor[]): AttendOptions => ({
        causal: true,
        mask: masks.within({ radius: 70 }),
        score: t5Bias(learned!, { buckets: 8, maxDistance: 60 }),
        dropout: { rate: 0.2, seed: 9 },
      }),
    },
  ],
];

/** Lengths around every size that kernels cut sequences at, for any vector width. */
const cuts = [1, 2, 3, 24, 48, 64, 96, 192, 384];
const lengths = [...new Set(cuts.flatMap((n) => (n < 24 ? [n] : [n - 1, n, n + 1])))];
const pairsOfLengths = [
  ...lengths.map((n) => [n, n] as const),
  ...([
    [385, 23],
    [23, 385],
    [193, 383],
    [383, 193],
  ] as const),
  ...(full ? [767, 768, 769, 1151, 1153].map((n) => [n, n] as const) : []),
];

onEveryDevice((on) => {
  test.each(cases)('equal bits for 1, 2, 3 and 4 threads, and again: %s', async (_, setting) => {
    const [one, ...others] = await withThreads(
      on.kind,
      [1, 2, 3, 4, 4],
      async (device) => (await run(device, setting)).results,
    );
    for (const other of others) expectEqualBits('other threads', other, one!);
  });

  test('mutant: another seed is noticed as other bits', async () => {
    const [, setting] = cases[1]!;
    const changed = {
      ...setting,
      options: (x: readonly Tensor[]) => ({ ...setting.options!(x), dropout: { rate: 0.2, seed: 10 } }),
    };
    const [a, b] = [await run(on.device, setting), await run(on.device, changed)];
    expect(() => expectEqualBits('other seed', a.results, b.results)).toThrow('bits differ');
  });

  test('batches and heads are computed alike wherever they stand', async () => {
    const one = { B: 1, H: 1, G: 1, L: 70, S: 70 };
    const parts = Array.from({ length: 6 }, (_, i) => inputs(one, D, D, 30 + i));
    const alone = await Promise.all(
      parts.map(async (part) => (await run(on.device, { ...part, options: () => ({ causal: true }) })).results),
    );
    const joined = (of: (part: (typeof parts)[number]) => ArrayLike<number>): Float32Array =>
      Float32Array.from(parts.flatMap((part) => Array.from(of(part))));
    const { results } = await run(on.device, {
      problem: {
        ...one,
        B: 2,
        H: 3,
        G: 3,
        D,
        E: D,
        q: joined((x) => x.problem.q),
        k: joined((x) => x.problem.k),
        v: joined((x) => x.problem.v),
      },
      cotangents: { dout: joined((x) => x.cotangents.dout), dlogsumexp: joined((x) => x.cotangents.dlogsumexp) },
      options: () => ({ causal: true }),
    });
    for (const [name, numbers] of Object.entries(results)) {
      expectSameBits(
        name,
        numbers,
        alone.flatMap((x) => Array.from(x[name]!)),
      );
    }
  });

  describe('lengths around every cut of the kernels', () => {
    test.each(pairsOfLengths)('%i queries, %i keys', async (L, S) => {
      const shape = { B: 1, H: 1, G: 1, L, S };
      const { problem, cotangents } = inputs(shape, D, D, 40 + L);
      const { results } = await run(on.device, { problem, cotangents, options: () => ({ causal: true }) });
      expectResults('causal', results, expectedOf({ ...problem, allowed: rules.causal(shape) }, cotangents));
    });
  });
});
