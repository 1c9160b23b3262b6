import { describe, expect, test } from 'vitest';
import * as masks from '../../src/masks/index.js';
import { bias, score } from '../../src/scores/index.js';
import { expectedOf, expectResult, expectResults, permutation } from '../oracles/attend-budget.js';
import * as rules from '../oracles/rules.js';
import { budgetOf, expectClose, expectSameBits } from '../support/compare.js';
import { onWebAssemblyFirst } from '../support/devices.js';
import { normal, uniform } from '../support/random.js';
import { inputs } from '../ops/attend-arbitrary.js';
import { run } from '../ops/attend-run.js';

const D = 16;
const shape = { B: 1, H: 2, G: 2, L: 70, S: 90 };

/** Rows of `columns` numbers in another order within each block of `order.length` rows. */
function reordered(x: ArrayLike<number>, columns: number, order: readonly number[]): Float64Array {
  return Float64Array.from({ length: x.length }, (_, n) => {
    const row = Math.floor(n / columns);
    const first = row - (row % order.length);
    return x[(first + order[row - first]!) * columns + (n % columns)]!;
  });
}

onWebAssemblyFirst((on) => {
  test('the worked example of the specification', async () => {
    const problem = {
      B: 1,
      H: 1,
      G: 1,
      L: 4,
      S: 4,
      D: 2,
      E: 2,
      q: [1, 0, 0, 1, 1, 1, 2, 0],
      k: [1, 0, 0, 1, 1, 1, 0, 2],
      v: [1, 0, 0, 1, 1, 1, 2, 3],
    };
    const cases = [
      {
        options: {},
        out: [1, 0.995357676, 1.2273995166, 1.7881036316, 1.1697615493, 1.504642324, 1, 0.7933554762],
        logsumexp: [1.8010874882, 2.2158806153, 2.5081942694, 2.3249824645],
      },
      {
        options: { causal: true },
        out: [1, 0, 0.3302384507, 0.6697615493, 0.7517449217, 0.7517449217, 1, 0.7933554762],
        logsumexp: [0.7071067812, 1.1079403077, 2.1004053012, 2.3249824645],
      },
      {
        options: { mask: masks.within({ radius: 1 }) },
        out: [
          0.6697615493, 0.3302384507, 0.5988879073, 0.8022241854, 1.203336278, 1.8022241854, 1.1955703175, 1.391140635,
        ],
      },
    ];
    for (const { options, out, logsumexp } of cases) {
      const { results } = await run(on.device, { problem, options: () => options });
      // ten digits are printed there
      expectClose('out', results['out']!, out, { budget: budgetOf(out) + 1e-10 });
      if (logsumexp)
        expectClose('logsumexp', results['logsumexp']!, logsumexp, { budget: budgetOf(logsumexp) + 1e-10 });
    }
  });

  test('weights are at least 0, sum to 1, and are 0 exactly where the mask is', async () => {
    const { problem } = inputs(shape, D, 1, 60);
    const { L, S } = shape;
    const identity = Float32Array.from({ length: 2 * S * S }, (_, n) => Number(Math.floor(n / S) % S === n % S));
    const setting = { problem: { ...problem, E: S, v: identity }, options: () => ({ causal: true }) };
    const { results } = await run(on.device, setting);
    const weights = Array.from(results['out']!);
    const allowed = rules.causal(shape);
    weights.forEach((weight, n) => {
      const at = { b: 0, h: Math.floor(n / (L * S)), i: Math.floor(n / S) % L, j: n % S };
      if (allowed(at) ? !(weight > 0) : weight !== 0) expect(weight, JSON.stringify(at)).toBe(0);
    });
    for (let row = 0; row < 2 * L; row++) {
      const sum = weights.slice(row * S, (row + 1) * S).reduce((a, b) => a + b, 0);
      expect(Math.abs(sum - 1)).toBeLessThanOrEqual(2 ** -20);
    }
    expectResults('weights', results, expectedOf({ ...setting.problem, allowed }));
  });

  test('a constant added to all scores leaves the output, and is added to logsumexp', async () => {
    const { problem, cotangents } = inputs(shape, D, D, 61);
    const { results } = await run(on.device, {
      problem,
      cotangents,
      options: () => ({ score: score((at) => at.score.add(5)) }),
    });
    const expected = expectedOf({ ...problem, score: [rules.shifted(5)] }, cotangents);
    const plain = expectedOf(problem, cotangents).exact;
    expectResults('shifted', results, expected);
    const { budgets } = expected;
    for (const name of ['out', 'dq', 'dk', 'dv'])
      expectClose(name, results[name]!, plain[name]!, { budget: budgets[name]! });
    const shifted = Float64Array.from(plain['logsumexp']!, (x) => x + 5);
    expectClose('logsumexp', results['logsumexp']!, shifted, { budget: budgets['logsumexp']! });
    expect(() =>
      expectClose('mutant', results['logsumexp']!, plain['logsumexp']!, { budget: budgets['logsumexp']! }),
    ).toThrow();
  });

  test('keys, values and columns of the mask may change places together', async () => {
    const { L, S } = shape;
    const { problem, cotangents } = inputs(shape, D, D, 62);
    const order = permutation(S, 5);
    const allowed = Uint8Array.from(uniform(6, 2 * L * S, 0, 1), (x) => Number(x < 0.4));
    const moved = { ...problem, k: reordered(problem.k, D, order), v: reordered(problem.v, D, order) };
    const movedMask = reordered(allowed, 1, order);
    const { results } = await run(on.device, {
      problem: moved,
      cotangents,
      options: () => ({ mask: masks.dense(movedMask, [2, L, S]) }),
    });
    const expected = expectedOf({ ...problem, allowed: rules.dense(allowed)(shape) }, cotangents);
    for (const [name, numbers] of Object.entries(results)) {
      expectResult('moved', name, numbers, expected, (x) =>
        name === 'dk' || name === 'dv' ? reordered(x, D, order) : x,
      );
    }
  });

  describe('knobs at their ends', () => {
    const square = { B: 1, H: 2, G: 1, L: 70, S: 70 };
    const { problem, cotangents } = inputs(square, D, D, 63);
    const results = async (options: Parameters<typeof run>[1]['options']) =>
      (await run(on.device, { problem, cotangents, ...(options && { options }) })).results;

    test.each([
      ['radius n − 1', masks.within({ radius: 69 })],
      ['dilation 1, n − 1 slots', masks.dilated({ dilation: 1, radiusSlots: 69 })],
      ['strided with stride 1', masks.strided({ stride: 1 })],
      ['fixed with all columns', masks.fixed({ stride: 7, columns: 7 })],
      ['one block', masks.blocks({ size: 70 })],
      ['a prefix of everything', masks.prefix(70)],
      ['all keys global', masks.global({ first: 70 })],
      ['full lengths', masks.lengths([70])],
      ['a mask or its opposite', masks.strided({ stride: 5 }).or(masks.strided({ stride: 5 }).not())],
    ])('%s is no mask, to the bit', async (_, mask) => {
      const [none, all] = [await results(undefined), await results(() => ({ mask }))];
      for (const [name, numbers] of Object.entries(none)) expectSameBits(name, all[name]!, numbers);
    });

    const onlySelf: [string, masks.Mask][] = [['a window of nothing else', masks.within({ left: 0, right: 0 })]];
    // each of these would be compiled for a second; what they are is the same on every device
    if (on.kind === 'wasm') {
      onlySelf.push(['radius 0', masks.within({ radius: 0 })]);
      onlySelf.push(['a causal window of 1', masks.within({ causalWindow: 1 })]);
      onlySelf.push(['blocks of 1', masks.blocks({ size: 1 })]);
    }
    test.each(onlySelf)(
      '%s gives the values themselves, and no gradient to queries and keys but of logsumexp',
      async (_, mask) => {
        const { out, dq, dk, dv } = (
          await run(on.device, { problem, cotangents: { dout: cotangents.dout }, options: () => ({ mask }) })
        ).results;
        const repeated = Float32Array.from({ length: out!.length }, (_, n) => problem.v[n % (70 * D)]!);
        expectSameBits('out', out!, repeated);
        expect([...Array.from(dq!), ...Array.from(dk!)].filter((x) => x !== 0)).toEqual([]);
        const sums = Float64Array.from(
          { length: dv!.length },
          (_, n) => cotangents.dout[n]! + cotangents.dout[70 * D + n]!,
        );
        expectClose('dv', dv!, sums, { budget: 4 * budgetOf(sums) });
      },
    );

    test('a mask with no allowed pair gives 0, −∞ and no gradient', async () => {
      const { out, logsumexp, dq, dk, dv } = await results(() => ({ mask: masks.causal().and(masks.causal().not()) }));
      expect(Array.from(logsumexp!).every((x) => x === -Infinity)).toBe(true);
      for (const zeros of [out, dq, dk, dv]) expect(Array.from(zeros!).filter((x) => x !== 0)).toEqual([]);
    });
  });

  test('grouped heads are heads whose keys and values are written out for each', async () => {
    const grouped = { B: 2, H: 6, G: 2, L: 40, S: 50 };
    const { problem, cotangents } = inputs(grouped, D, D, 64);
    const written = (x: ArrayLike<number>): Float32Array =>
      Float32Array.from({ length: 3 * x.length }, (_, n) => {
        const size = 50 * D;
        return x[Math.floor(n / (3 * size)) * size + (n % size)]!;
      });
    const options = () => ({ causal: true });
    const all = { ...problem, G: 6, k: written(problem.k), v: written(problem.v) };
    const { results: few } = await run(on.device, { problem, cotangents, options });
    const { results: many } = await run(on.device, { problem: all, cotangents, options });
    for (const name of ['out', 'logsumexp', 'dq']) expectSameBits(name, few[name]!, many[name]!);
  });

  test('scores of 1e4 stay finite', async () => {
    const { problem, cotangents } = inputs(shape, 64, 64, 65);
    const large = (x: ArrayLike<number>): Float32Array => Float32Array.from(x, (y) => 60 * y);
    const big = { ...problem, q: large(problem.q), k: large(problem.k), allowed: rules.causal(shape) };
    const { results } = await run(on.device, { problem: big, cotangents, options: () => ({ causal: true }) });
    expect(Math.max(...Array.from(results['logsumexp']!))).toBeGreaterThan(1e4);
    for (const numbers of Object.values(results)) expect(Array.from(numbers).every(Number.isFinite)).toBe(true);
    expectResults('large', results, expectedOf(big));
  });

  test('biases of −1e30 and −∞ act as masks', async () => {
    const { L, S } = shape;
    const { problem, cotangents } = inputs(shape, D, D, 66);
    for (const low of [-1e30, -Infinity]) {
      // the first row sees nothing but −∞, as if all were masked
      const data = Float32Array.from(normal(67, 2 * L * S), (x, n) =>
        n % 3 === 0 || (n < S && low === -Infinity) ? low : x,
      );
      const allowed = rules.dense(Uint8Array.from(data, (x) => Number(x > -1e29)));
      const { results } = await run(on.device, {
        problem,
        cotangents,
        tables: [{ data, shape: [2, L, S] }],
        options: ([table]) => ({ score: bias(table!) }),
      });
      const finite = Float32Array.from(data, (x) => (x > -1e29 ? x : 0));
      const oracle = expectedOf(
        { ...problem, allowed: allowed(shape), score: [rules.bias(finite, [1, 2, L, S])] },
        cotangents,
      );
      expectResults(`bias ${low}`, results, oracle);
    }
  });

  test('2·D·n² beyond 2³¹: a window over 8209 keys, checked where its ends meet', async () => {
    const [n, radius, part] = [8209, 8, 60];
    const { problem, cotangents } = inputs({ B: 1, H: 1, G: 1, L: n, S: n }, D, D, 68);
    const mask = masks.within({ left: radius, right: radius });
    const { results, counters } = await run(on.device, { problem, cotangents, options: () => ({ mask }) });
    expect(2 * D * n * n).toBeGreaterThan(2 ** 31);
    expect(counters.pairsNeeded).toBe(n * (2 * radius + 1) - radius * (radius + 1));
    for (const start of [0, 4073, n - part]) {
      const cut = (x: ArrayLike<number>, columns = D) =>
        Float32Array.from(Array.from(x).slice(start * columns, (start + part) * columns));
      const local = { B: 1, H: 1, G: 1, L: part, S: part };
      const piece = {
        ...problem,
        ...local,
        q: cut(problem.q),
        k: cut(problem.k),
        v: cut(problem.v),
        allowed: rules.window(radius, radius)(local),
      };
      const expected = expectedOf(piece, { dout: cut(cotangents.dout), dlogsumexp: cut(cotangents.dlogsumexp, 1) });
      // what the rows at the ends of the piece see, or are seen by, lies outside it
      const margin = 2 * radius;
      const inside = (x: ArrayLike<number>, columns: number) =>
        Array.from(x).slice(
          (start === 0 ? 0 : margin) * columns,
          (start + part === n ? part : part - margin) * columns,
        );
      for (const [name, numbers] of Object.entries(results)) {
        const columns = name === 'logsumexp' ? 1 : D;
        const got = inside(cut(numbers, columns), columns);
        expectResult(`from ${start}`, name, got, expected, (x) => inside(x, columns));
      }
    }
  });
});
