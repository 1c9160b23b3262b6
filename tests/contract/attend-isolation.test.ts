import { describe, expect, test } from 'vitest';
import { lookup, tableOf } from '../../src/codegen/expression/index.js';
import * as masks from '../../src/masks/index.js';
import type { AttendOptions } from '../../src/ops/attend.js';
import { visible } from '../../src/scores/index.js';
import { allResults, expectedOf, expectResult, type Expected, type Results } from '../oracles/attend-budget.js';
import type { AttendProblem, Cotangents } from '../oracles/attend.js';
import * as rules from '../oracles/rules.js';
import { expectSameBits } from '../support/compare.js';
import { onWebAssemblyFirst, type OnDevice } from '../support/devices.js';
import { uniform } from '../support/random.js';
import { inputs, type Shape } from '../ops/attend-arbitrary.js';
import { run } from '../ops/attend-run.js';

// head size and masks are those of the reference cases, whose kernels are compiled anyway
const D = 16;

/** Numbers with those of some rows replaced. */
function replaced(x: ArrayLike<number>, columns: number, rows: readonly number[], value: number): Float32Array {
  const copy = Float32Array.from(x);
  for (const row of rows) copy.fill(value, row * columns, (row + 1) * columns);
  return copy;
}

const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);

/** The future is changed: no row that may not see it changes by a bit. */
async function expectNoLeak(on: OnDevice, shape: Shape, options: AttendOptions): Promise<void> {
  const { L, S } = shape;
  const { problem } = inputs(shape, D, D, 11);
  const { results: before } = await run(on.device, { problem, options: () => options });
  for (const key of [1, Math.floor(S / 2), S - 1]) {
    const future = range(key, S);
    const changed = { ...problem, k: replaced(problem.k, D, future, 3), v: replaced(problem.v, D, future, -7) };
    const { results: after } = await run(on.device, { problem: changed, options: () => options });
    // row i sees keys up to i + S − L
    const past = Math.max(0, Math.min(L, key - (S - L)));
    for (const [name, columns] of [
      ['out', D],
      ['logsumexp', 1],
    ] as const) {
      const part = (x: Results): ArrayLike<number> => Array.from(x[name]!).slice(0, past * columns);
      expectSameBits(`${name} of the past of key ${key}`, part(after), part(before));
    }
    expect(Array.from(after['out']!).slice(past * D), 'the change is seen').not.toEqual(
      Array.from(before['out']!).slice(past * D),
    );
  }
}

/** Only the rows before `row` are asked about: no key or value after them has a gradient. */
async function expectNoGradientLeak(on: OnDevice, shape: Shape, options: AttendOptions): Promise<void> {
  const { L, S } = shape;
  const { problem, cotangents } = inputs(shape, D, D, 12);
  const row = L - 20;
  const asked = {
    dout: replaced(cotangents.dout, D, range(row, L), 0),
    dlogsumexp: replaced(cotangents.dlogsumexp, 1, range(row, L), 0),
  };
  const { results } = await run(on.device, { problem, options: () => options, cotangents: asked });
  const later = row + S - L;
  for (const name of ['dk', 'dv']) {
    const gradient = Array.from(results[name]!);
    expect(
      gradient.slice(later * D).filter((x) => x !== 0),
      `${name} of later keys`,
    ).toEqual([]);
    expect(
      gradient.slice(0, later * D).some((x) => x !== 0),
      `${name} of earlier keys`,
    ).toBe(true);
  }
}

const causalShapes = [
  [130, 130],
  [70, 150],
  [150, 70],
].map(([L, S]) => ({ B: 1, H: 1, G: 1, L: L!, S: S! }));

/** What the oracle says of a problem, and where NaN in one row gets to; both devices share the answers. */
class Answers {
  readonly clean: Expected;
  readonly #reached = new Map<string, Results>();

  constructor(
    readonly problem: AttendProblem,
    readonly cotangents: Cotangents,
  ) {
    this.clean = expectedOf(problem, cotangents);
  }

  reached(name: string, withNaN: readonly [AttendProblem, Cotangents]): Results {
    const known = this.#reached.get(name) ?? allResults(...withNaN);
    this.#reached.set(name, known);
    return known;
  }
}

/** NaN, or a huge number, in one row of one input, against the oracle, which only ever reads allowed pairs. */
async function expectContained(
  on: OnDevice,
  answers: Answers,
  options: AttendOptions,
  where: 'q' | 'k' | 'v' | 'dout',
  row: number,
): Promise<void> {
  const { problem, cotangents, clean } = answers;
  const poisoned = (value: number): [AttendProblem, Cotangents] =>
    where === 'dout'
      ? [problem, { ...cotangents, dout: replaced(cotangents.dout, D, [row], value) }]
      : [{ ...problem, [where]: replaced(problem[where], D, [row], value) }, cotangents];
  const [withNaN, andNaN] = poisoned(NaN);
  const { results } = await run(on.device, { problem: withNaN, options: () => options, cotangents: andNaN });
  const reached = answers.reached(`${where}${row}`, [withNaN, andNaN]);
  let hit = 0;
  for (const [name, numbers] of Object.entries(reached)) {
    const got = results[name]!;
    const both = (x: ArrayLike<number>): Float64Array =>
      Float64Array.from(x, (y, i) => (Number.isNaN(numbers[i]!) ? NaN : y));
    hit += Array.from(numbers).filter(Number.isNaN).length;
    // what NaN does not reach is what it is without it
    expectResult(`NaN in row ${row} of ${where}`, name, got, clean, both);
  }
  expect(hit, `numbers that NaN in row ${row} of ${where} reaches`).toBeGreaterThan(0);
  const { results: huge } = await run(on.device, {
    problem: poisoned(1e9)[0],
    options: () => options,
    cotangents: poisoned(1e9)[1],
  });
  for (const [name, numbers] of Object.entries(reached)) {
    const spared = (x: ArrayLike<number>): number[] => Array.from(x).filter((_, i) => !Number.isNaN(numbers[i]!));
    expectResult(`1e9 in row ${row} of ${where}`, name, spared(huge[name]!), clean, spared);
  }
}

const n = 144;
const shape = { B: 2, H: 2, G: 1, L: n, S: n };
const scattered = Uint8Array.from(uniform(5, 2 * n * n, 0, 1), (x) => Number(x < 0.1));
const documents = Int32Array.from({ length: 2 * n }, (_, i) => Math.floor(i / 30));
const contained: readonly (readonly [string, AttendOptions, rules.Rule])[] = [
  ['causal', { causal: true }, rules.causal],
  ['a window', { mask: masks.within({ left: 9, right: 9 }) }, rules.window(9, 9)],
  ['lengths', { mask: masks.lengths([100, 137]) }, rules.lengths([100, 137])],
  ['documents', { causal: true, mask: masks.document(documents) }, rules.both(rules.causal, rules.document(documents))],
  [
    'two parts that are merged',
    { causal: true, mask: masks.strided({ stride: 12 }) },
    rules.both(rules.causal, rules.strided(12)),
  ],
  ['dilation', { mask: masks.dilated({ dilation: 3, radiusSlots: 4 }) }, rules.dilated(3, 4)],
  ['pairs at random', { mask: masks.dense(scattered, [2, n, n]) }, rules.dense(scattered)],
  [
    'pairs at random, by the score',
    { score: visible(({ h, q, k }) => lookup(tableOf('scattered', scattered, [2, n, n]), h, q, k).ne(0)) },
    rules.dense(scattered),
  ],
];

const known = new Map<string, Answers>();

function answersFor(name: string, rule: rules.Rule): Answers {
  const { problem, cotangents } = inputs(shape, D, D, 13);
  const answers = known.get(name) ?? new Answers({ ...problem, allowed: rule(shape) }, cotangents);
  known.set(name, answers);
  return answers;
}

onWebAssemblyFirst((on) => {
  describe('causal', () => {
    test.each(causalShapes)('the past does not change with the future: $L queries, $S keys', (s) =>
      expectNoLeak(on, s, { causal: true }),
    );
    test.each(causalShapes)('the past has no gradient to the future: $L queries, $S keys', (s) =>
      expectNoGradientLeak(on, s, { causal: true }),
    );
    test('mutants: one key of the future is noticed both ways', async () => {
      const off = { mask: masks.within({ left: 1000, right: 1 }) };
      await expect(expectNoLeak(on, causalShapes[0]!, off)).rejects.toThrow('bits differ');
      await expect(expectNoGradientLeak(on, causalShapes[0]!, off)).rejects.toThrow('later keys');
    });
  });

  describe('NaN and 1e9 reach the rows that may see them and no others', () => {
    test.each(contained)('%s', async (name, options, rule) => {
      const poison = answersFor(name, rule);
      // rows in the first batch's first head and in the middle of the second's; query rows count 2 heads
      for (const where of ['k', 'v'] as const)
        for (const row of [0, 50, 209]) await expectContained(on, poison, options, where, row);
      for (const where of ['q', 'dout'] as const)
        for (const row of [0, 143, 350]) await expectContained(on, poison, options, where, row);
    });
    test('mutant: a mask one key too wide is noticed', async () => {
      const wide = { mask: masks.within({ left: 9, right: 10 }) };
      const poison = answersFor('a window', rules.window(9, 9));
      await expect(expectContained(on, poison, wide, 'k', 50)).rejects.toThrow('numbers off');
    });
  });

  test('padded keys and queries might as well not be there', async () => {
    const [length, padded] = [61, 100];
    const { problem, cotangents } = inputs({ B: 1, H: 2, G: 2, L: padded, S: padded }, D, D, 14);
    const asked = { dout: Float32Array.from(cotangents.dout, (x, i) => (Math.floor(i / D) % padded < length ? x : 0)) };
    const { results } = await run(on.device, {
      problem,
      options: () => ({ mask: masks.lengths([length]) }),
      cotangents: asked,
    });
    const cut = (x: ArrayLike<number>, columns = D): Float32Array =>
      Float32Array.from(Array.from(x).filter((_, i) => Math.floor(i / columns) % padded < length));
    const { q, k, v } = problem;
    const short = { ...problem, L: length, S: length, q: cut(q), k: cut(k), v: cut(v) };
    const expected = expectedOf(short, { dout: cut(asked.dout) });
    for (const [name, numbers] of Object.entries(results)) {
      expectResult('padded', name, cut(numbers, name === 'logsumexp' ? 1 : D), expected);
    }
    for (const name of ['dk', 'dv']) {
      const kept = new Set(range(0, length));
      expect(Array.from(results[name]!).filter((x, i) => x !== 0 && !kept.has(Math.floor(i / D) % padded))).toEqual([]);
    }
  });
});
