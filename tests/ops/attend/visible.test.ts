// of scores/visible

import { expect, test } from 'vitest';
import { lookup } from '../../../src/codegen/expression/index.js';
import { OptionError } from '../../../src/core/errors.js';
import { causal, mask, within } from '../../../src/masks/index.js';
import { attend, type AttendOptions } from '../../../src/ops/attend.js';
import { bias, integerTable, softcap, visible } from '../../../src/scores/index.js';
import { disposeAll, tensor, type Tensor } from '../../../src/tensor/index.js';
import { expectedOf, expectResults } from '../../oracles/attend-budget.js';
import type { Pair } from '../../oracles/attend.js';
import { expectSameBits } from '../../support/compare.js';
import { onWebAssemblyFirst } from '../../support/devices.js';
import { normal, uniform } from '../../support/random.js';
import { inputs } from '../attend-arbitrary.js';
import { run } from '../attend-run.js';

const D = 16;
const shape = { B: 2, H: 2, G: 1, L: 70, S: 110 };
const { B, H, L, S } = shape;
const { problem, cotangents } = inputs(shape, D, D, 21);
// three topics; a query of topic 3 sees nothing
const topics = (seed: number, length: number, count: number): Int32Array =>
  Int32Array.from(uniform(seed, B * H * length, 0, count), Math.floor);
const [ofQueries, ofKeys] = [topics(1, L, 4), topics(2, S, 3)];
const sameTopic = ({ b, h, i, j }: Pair): boolean => ofQueries[(b * H + h) * L + i] === ofKeys[(b * H + h) * S + j];

onWebAssemblyFirst((on) => {
  const withTables = async (body: (byTopic: ReturnType<typeof visible>) => Promise<void>): Promise<void> => {
    const queries = tensor(ofQueries, [B, H, L], { device: on.device });
    const keys = tensor(ofKeys, [B, H, S], { device: on.device });
    const [left, right] = [integerTable('ofQueries', queries), integerTable('ofKeys', keys)];
    await body(visible(({ b, h, q, k }) => lookup(left, b, h, q.sub(S - L)).eq(lookup(right, b, h, k))));
    disposeAll([queries, keys]);
  };

  test.each<[string, (at: Pair) => boolean, AttendOptions]>([
    ['alone', () => true, {}],
    ['with causal', ({ i, j }) => j <= i + S - L, { causal: true }],
    ['with a window', ({ i, j }) => Math.abs(i + S - L - j) <= 20, { mask: within({ radius: 20 }) }],
    [
      'in residue classes',
      ({ i, j }) => (i + S - L - j) % 4 === 0,
      { mask: mask(({ q, k }) => q.sub(k).mod(4).eq(0)) },
    ],
  ])('a score of −∞ by tables on the device is a mask, %s', async (_, allowed, options) => {
    const expected = expectedOf({ ...problem, allowed: (at) => allowed(at) && sameTopic(at) }, cotangents);
    await withTables(async (byTopic) => {
      const setting = { problem, options: () => ({ ...options, score: byTopic }), cotangents };
      const { results, counters } = await run(on.device, setting);
      expectResults('visible', results, expected);
      // rows that see nothing, and no tile was skipped for them
      expect(Array.from(results['logsumexp']!).filter((x) => x === -Infinity).length).toBeGreaterThan(0);
      const without = await run(on.device, { problem, options: () => options });
      expect(counters.pairsVisited).toBe(without.counters.pairsVisited);
    });
  });

  test('after other changes, with the gradient of a bias that hidden pairs do not reach', async () => {
    const data = normal(3, S);
    const score = [
      {
        value: (s: number, { j }: Pair, r: (x: number) => number) => r(s + data[j]!),
        slope: () => 1,
        table: { size: S, index: ({ j }: Pair) => j },
      },
      {
        value: (s: number, _: Pair, r: (x: number) => number) => r(5 * r(Math.tanh(r(s / 5)))),
        slope: (s: number) => 1 - Math.tanh(s / 5) ** 2,
      },
    ];
    const expected = expectedOf({ ...problem, score, allowed: sameTopic }, cotangents);
    await withTables(async (byTopic) => {
      const options = ([table]: readonly Tensor[]): AttendOptions => ({
        score: bias(table!).andThen(softcap(5)).andThen(byTopic),
      });
      const { results } = await run(on.device, { problem, options, cotangents, tables: [{ data, shape: [S] }] });
      expectResults('bias, cap, visible', results, expected);
    });
  });

  test('a bias of −∞ hides as well', async () => {
    const data = Float32Array.from(uniform(4, S), (x) => (x < 0 ? -Infinity : x));
    const allowed = ({ j }: Pair): boolean => data[j] !== -Infinity;
    const score = [{ value: (s: number, { j }: Pair, r: (x: number) => number) => r(s + data[j]!), slope: () => 1 }];
    const table = tensor(data, [S], { device: on.device });
    const { results } = await run(on.device, { problem, options: () => ({ score: bias(table) }), cotangents });
    expectResults('bias', results, expectedOf({ ...problem, score, allowed }, cotangents));
    table.dispose();
  });

  test('all hidden: 0, −∞ and gradients of 0, whatever the values', async () => {
    const poisoned = { ...problem, v: new Float32Array(problem.v.length).fill(NaN) };
    const options = (): AttendOptions => ({ score: visible(({ q, k }) => q.mul(0).gt(k.mul(0))) });
    const { results } = await run(on.device, { problem: poisoned, options, cotangents });
    expect(new Set(results['logsumexp'] as Float32Array)).toEqual(new Set([-Infinity]));
    for (const name of ['out', 'dq', 'dk', 'dv']) expect(Math.max(...Array.from(results[name]!, Math.abs))).toBe(0);
  });

  test('visible(causal) gives what causal does where every tile is partial', async () => {
    const small = inputs({ B: 1, H: 1, G: 1, L: 16, S: 16 }, D, D, 22);
    const [hidden, masked] = await Promise.all(
      [{ score: visible(({ q, k }) => k.le(q)) }, { mask: causal() }].map((options) =>
        run(on.device, { ...small, options: () => options }),
      ),
    );
    for (const name of Object.keys(masked!.results))
      expectSameBits(name, hidden!.results[name]!, masked!.results[name]!);
  });

  test('refuses what is no boolean, and tables of floats', () => {
    const q = tensor(problem.q, [B, H, L, D], { device: on.device });
    const numbers = { score: visible(({ k }) => k as never) };
    expect(() => attend(q, q, q, numbers)).toThrow('visible: must return a boolean expression');
    expect(() => visible(3 as unknown as Parameters<typeof visible>[0])).toThrow(OptionError);
    expect(() => integerTable('q', q)).toThrow('must be an i32 or u8 tensor; got f32');
    q.dispose();
  });
});
