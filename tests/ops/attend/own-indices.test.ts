// of kernels/attend/table-gradient, ops/attend/table-gradient

import { describe, expect, test } from 'vitest';
import { lookup, type I32 } from '../../../src/codegen/expression/index.js';
import { OptionError, ShapeError } from '../../../src/core/errors.js';
import { mask, within } from '../../../src/masks/index.js';
import { attend, type AttendOptions } from '../../../src/ops/attend.js';
import { attendGathered } from '../../../src/ops/index.js';
import { floatTable, integerTable, score, type ScorePlace } from '../../../src/scores/index.js';
import { disposeAll, gradients, scope, tensor, type Tensor } from '../../../src/tensor/index.js';
import { expectedOf, expectResults, type Results } from '../../oracles/attend-budget.js';
import type { Pair, ScoreStep } from '../../oracles/attend.js';
import { expectSameBits } from '../../support/compare.js';
import { onWebAssemblyFirst, openDevice } from '../../support/devices.js';
import { normal, uniform } from '../../support/random.js';
import { inputs } from '../attend-arbitrary.js';
import { run } from '../attend-run.js';

const D = 8;
const { B, H, L, S } = { B: 2, H: 2, L: 37, S: 41 };
const { problem, cotangents } = inputs({ B, H, G: 1, L, S }, D, D, 51);
const SIZE = 7;
const wrong = [-1, SIZE, -(2 ** 31) + 1, 2 ** 31 - 1, 300, -17];
/** Kinds of the keys of each text; every fourth is none of the table's. */
const kinds = Int32Array.from(uniform(1, B * S, 0, SIZE), (x, i) =>
  i % 4 === 3 ? wrong[i % wrong.length]! : Math.floor(x),
);
const kindOf = ({ b, j }: Pair): number => kinds[b * S + j]!;
const inside = (index: number, size = SIZE): number => (index >= 0 && index < size ? index : -1);
const weights = normal(2, SIZE);
const ofHeads = normal(3, H * SIZE);

const added: ScoreStep = {
  value: (s, at, r) => r(s + (weights[kindOf(at)] ?? 0)),
  slope: () => 1,
  table: { size: SIZE, index: (at) => inside(kindOf(at)) },
};
/** Column by the distance, and so outside for far pairs. */
const columnOf = ({ i, j }: Pair): number => i + S - L - j + 3;
const entryOf = (at: Pair): number => (inside(columnOf(at)) < 0 ? -1 : at.h * SIZE + columnOf(at));
const multiplied: ScoreStep = {
  value: (s, at, r) => r(s * (ofHeads[entryOf(at)] ?? 0)),
  slope: (_, at) => ofHeads[entryOf(at)] ?? 0,
  table: { size: H * SIZE, index: entryOf, factor: (s) => s },
};

type Rule = (
  place: ScorePlace,
  table: ReturnType<typeof floatTable>,
  kind: I32,
) => ReturnType<ScorePlace['score']['add']>;
const rules: Readonly<Record<string, readonly [ScoreStep, readonly number[], ArrayLike<number>, Rule]>> = {
  'a sum with a table at indices of the device': [
    added,
    [SIZE],
    weights,
    ({ score: s }, table, kind) => s.add(lookup(table, kind)),
  ],
  'a product with a table by heads and distances': [
    multiplied,
    [H, SIZE],
    ofHeads,
    ({ score: s, h, q, k }, table) => s.mul(lookup(table, h, q.sub(k).add(3))),
  ],
};

onWebAssemblyFirst((on) => {
  const options =
    (rule: Rule, ids: Tensor, more: AttendOptions) =>
    ([table]: readonly Tensor[]): AttendOptions => {
      const kindsOf = integerTable('kinds', ids);
      const own = floatTable('weights', table!);
      return { ...more, score: score((place) => rule(place, own, lookup(kindsOf, place.b, place.k))) };
    };

  describe.each(Object.keys(rules))('%s', (name) => {
    const [step, shape, data, rule] = rules[name]!;

    test.each<[string, (at: Pair) => boolean, AttendOptions]>([
      ['over all pairs', () => true, {}],
      ['causal', ({ i, j }) => j <= i + S - L, { causal: true }],
      ['in a window', ({ i, j }) => Math.abs(i + S - L - j) <= 9, { mask: within({ radius: 9 }) }],
      [
        'in residue classes',
        ({ i, j }) => (i + S - L - j) % 3 === 0,
        { mask: mask(({ q, k }) => q.sub(k).mod(3).eq(0)) },
      ],
    ])('%s, with its gradient', async (_, allowed, more) => {
      const ids = tensor(kinds, [B, S], { device: on.device });
      const setting = { problem, cotangents, options: options(rule, ids, more), tables: [{ data, shape }] };
      const { results } = await run(on.device, setting);
      expectResults(name, results, expectedOf({ ...problem, allowed, score: [step] }, cotangents));
      ids.dispose();
    });

    test('equal bits for every number of threads', async () => {
      const of = async (threads: number): Promise<Results> => {
        const device = (await openDevice(on.kind, { threads }))!;
        const ids = tensor(kinds, [B, S], { device });
        const setting = { problem, cotangents, options: options(rule, ids, {}), tables: [{ data, shape }] };
        const { results } = await run(device, setting);
        ids.dispose();
        await device.dispose();
        return results;
      };
      const [one, two] = [await of(1), await of(2)];
      for (const result of Object.keys(one)) expectSameBits(result, two[result]!, one[result]!);
    });

    test('a NaN of the table reaches the pairs that read it, and nothing where they are hidden', async () => {
      // entry 2 is read in both ways, and no longer where the mask hides its readers
      const spoiled = Float32Array.from(data, (x, i) => (i === 2 ? NaN : x));
      const reads = (at: Pair): boolean => step.table!.index(at) === 2;
      const ids = tensor(kinds, [B, S], { device: on.device });
      const blind =
        shape.length === 1
          ? ({ q, k }: { q: I32; k: I32 }) => q.ge(0).or(k.ge(0))
          : ({ h, q, k }: { h: I32; q: I32; k: I32 }) => h.ne(0).or(q.sub(k).ne(-1));
      const setting = (more: AttendOptions) => ({
        problem,
        cotangents,
        options: options(rule, ids, more),
        tables: [{ data: spoiled, shape }],
      });
      const { results } = await run(on.device, setting({}));
      for (let row = 0; row < B * H * L; row++) {
        const [b, h, i] = [Math.floor(row / (H * L)), Math.floor(row / L) % H, row % L];
        const met = Array.from({ length: S }, (_, j) => reads({ b, h, i, j })).some(Boolean);
        expect(Number.isNaN(results['logsumexp']![row]), `row ${row}`).toBe(met);
      }
      if (shape.length === 2) {
        const hidden = (at: Pair): boolean => !reads(at);
        const seen = await run(on.device, setting({ mask: mask(blind) }));
        expectResults(name, seen.results, expectedOf({ ...problem, allowed: hidden, score: [step] }, cotangents));
      }
      ids.dispose();
    });
  });

  test('a key that is NaN, and hidden, leaves the gradient of a factor alone', async () => {
    const k = Float32Array.from(problem.k, (x, at) => (Math.floor(at / D) % S === 5 ? NaN : x));
    const ids = tensor(kinds, [B, S], { device: on.device });
    const [step, shape, data, rule] = rules['a product with a table by heads and distances']!;
    const allowed = ({ j }: Pair): boolean => j !== 5;
    const setting = {
      cotangents,
      options: options(rule, ids, { mask: mask(({ k: j }) => j.ne(5)) }),
      tables: [{ data, shape }],
    };
    const { results } = await run(on.device, { ...setting, problem: { ...problem, k } });
    expectResults('a hidden NaN', results, expectedOf({ ...problem, allowed, score: [step] }, cotangents));
    ids.dispose();
  });

  test('indices that the score decides, and gathered rows', async () => {
    const { device } = on;
    const at = (data: Float32Array, shape: readonly number[]): Tensor =>
      tensor(data, shape, { device, requiresGradient: true });
    const [q, k] = [at(problem.q as Float32Array, [B, H, L, D]), at(problem.k as Float32Array, [B, 1, S, D])];
    const v = at(problem.v as Float32Array, [B, 1, S, D]);
    const table = at(weights, [SIZE]);
    const own = floatTable('weights', table);
    const around = [at(normal(8, 64), [64]), at(normal(9, 64), [64])];
    const far = score(({ score: s }) => s.add(lookup(own, s.mul(1e9).toI32())));
    const one = attend(q, k, v, { score: far });
    const order = tensor(
      Int32Array.from({ length: B * S }, (_, i) => S - 1 - (i % S)),
      [B, 1, S],
      { device },
    );
    const two = attendGathered(q, k, v, {
      keyOrder: order,
      score: ({ score: s, keyPosition }) => s.add(lookup(own, keyPosition.sub(100).mul(keyPosition))),
    });
    const results = [one, two].flatMap(({ out }) => {
      const d = tensor(cotangents.dout, out.shape, { device });
      const found = gradients([out], [table], [d]);
      disposeAll([d, out]);
      return found;
    });
    // only key 0 is at entry 0, whose row is 0 · (0 − 100)
    const [ofScore, ofRows] = [await results[0]!.data(), await results[1]!.data()];
    expect([...ofScore].slice(1).every((x) => Number.isFinite(x))).toBe(true);
    expect(ofRows[0]).not.toBe(0);
    expect([...ofRows].slice(1)).toEqual(new Array(SIZE - 1).fill(0));
    expectSameBits('before', await around[0]!.data(), normal(8, 64));
    expectSameBits('after', await around[1]!.data(), normal(9, 64));
    disposeAll([q, k, v, order, table, ...around, ...results, one, two]);
  });

  test('refuses other tensors, other sizes, and more dimensions than a kernel is told', () => {
    scope(() => {
      const x = tensor(new Float32Array(8), [1, 1, 4, 2], { device: on.device });
      const ids = tensor(Int32Array.of(1, 2), [2], { device: on.device });
      expect(() => floatTable('ids', ids)).toThrow(OptionError);
      expect(() => floatTable('ids', ids)).toThrow('ids must be an f32 tensor; got i32');
      expect(() => floatTable('x', x, [7])).toThrow('floatTable: shape [7] does not hold the entries of x=[1,1,4,2].');
      expect(() => floatTable('x', [1] as never)).toThrow('must be a tensor');
      const deep = floatTable('deep', x, [...new Array<number>(10).fill(1), 8]);
      const reading = score(({ score: s, k }) => s.add(lookup(deep, ...new Array<number>(10).fill(0), k)));
      expect(() => attend(x, x, x, { score: reading })).toThrow(ShapeError);
      expect(() => attend(x, x, x, { score: reading })).toThrow('the table "deep" has 11 dimensions; at most 10');
    });
  });
});
