import { expect, test } from 'vitest';
import { entmax } from '../../../src/attention/exact/index.js';
import { identity } from '../../../src/attention/index.js';
import { disposeAll, gradients, scope, tensor, type Tensor } from '../../../src/tensor/index.js';
import { gate } from '../../contract/gate/index.js';
import { double, single } from '../../oracles/arithmetic.js';
import { awayFromEdges, entmax as formula, entmaxAttention } from '../../oracles/entmax.js';
import { Graph } from '../../oracles/graph.js';
import { budgetOf, expectClose } from '../../support/compare.js';
import { onEveryDevice } from '../../support/devices.js';
import { normal } from '../../support/random.js';
import { readSafetensors } from '../../support/safetensors.js';

gate(entmax, {
  oracle: entmaxAttention,
  prepare: (data, _, one) => awayFromEdges(data, one),
  options: [{}, { alpha: 2 }, { alpha: 1.3 }, { learnAlpha: true }],
  // 0.01 from softmax
  exactWhen: [{ options: { alpha: 1 } }, { options: { alpha: 1.01 }, within: 0.05 }],
  draw: (next) => {
    const alpha = [1, 1.25, 1.5, 1.75, 2][Math.floor(next() * 5)]!;
    return { alpha, learnAlpha: alpha > 1 && alpha < 2 && next() < 0.3 };
  },
  refused: [{ options: { alpha: 1.005 } }, { options: { alpha: 2, learnAlpha: true } }],
});

test('weights of published numbers', () => {
  const weights = (alpha: number): string[] => {
    const g = new Graph(double);
    const less = g.constant([alpha - 1], 1, 1);
    const z = g.constant([1.5, 1, 0.2, -1, -2], 1, 5);
    return Array.from(formula(g, g.mul(z, less), less).data, (x) => x.toFixed(5));
  };
  expect(weights(1.25)).toEqual(['0.58723', '0.31707', '0.09177', '0.00393', '0.00000']);
  expect(weights(1.5)).toEqual(['0.65859', '0.31532', '0.02609', '0.00000', '0.00000']);
  expect(weights(2)).toEqual(['0.75000', '0.25000', '0.00000', '0.00000', '0.00000']);
});

onEveryDevice((on) => {
  const square = (rows: number, data: Float32Array): Tensor =>
    tensor(data, [1, 1, rows, data.length / rows], { device: on.device, requiresGradient: true });
  const eye = (n: number): Tensor => square(n, identity([n, n], 0, ''));
  /** Weights of scores, and the gradients of these for a cotangent of those. */
  const run = async (scores: Float32Array, rows: number, alpha: number, cotangent: Float32Array) => {
    const n = scores.length / rows;
    const found = scope(() => {
      const [q, k, v] = [square(rows, scores), eye(n), eye(n)];
      const { out } = entmax.run(q, k, v, { alpha, scale: 1 });
      return [out, ...gradients([out], [q], [square(rows, cotangent)])];
    });
    const [weights, dscores] = [await found[0]!.data(), await found[1]!.data()] as [Float32Array, Float32Array];
    disposeAll(found);
    return { weights, dscores };
  };

  test.each([1.3, 1.5, 2])('the numbers of published code, α = %d', async (alpha) => {
    const stored = readSafetensors(new URL(`../../fixtures/entmax/entmax-${alpha}.safetensors`, import.meta.url));
    const [x, cotangent] = [stored['in.x']!.data, stored['in.cotangent']!.data];
    const byFormula = (g: Graph) => {
      const z = g.input(x, 4, 12);
      const less = g.constant([alpha - 1], 1, 1);
      const y = formula(g, g.mul(z, less), less);
      return { y: y.data, grad: g.gradients([y], [cotangent], [z])[0]! };
    };
    const exact = byFormula(new Graph(double));
    const plain = [0, 1, 2, 3, 4, 5, 6, 7].map((order) => byFormula(new Graph(single, order)));
    const { weights, dscores } = await run(Float32Array.from(x), 4, alpha, Float32Array.from(cotangent));
    for (const [name, got] of [['y', weights] as const, ['grad', dscores] as const]) {
      const budget = Math.max(...plain.map((one) => budgetOf(exact[name], one[name])));
      expectClose(`published ${name}`, stored[`out.${name}`]!.data, exact[name], { budget });
      expectClose(`our ${name}`, got, exact[name], { budget });
    }
  });

  test('weights do not change with a constant, and fall to 0 with α; what is far below the best, or has no weight, has no gradient', async () => {
    const n = 40;
    const scores = normal(5, 3 * n);
    const cotangent = normal(6, 3 * n);
    const results = await Promise.all([1.25, 1.5, 1.75, 2].map((alpha) => run(scores, 3, alpha, cotangent)));
    const support = results.map(({ weights }) => weights.reduce((count, x) => count + Number(x > 0), 0));
    expect(support).toEqual([...support].sort((a, b) => b - a));
    expect(support[3]).toBeLessThan(support[0]!);
    results.forEach(({ weights, dscores }, a) => {
      const gap = 1 / [0.25, 0.5, 0.75, 1][a]!;
      weights.forEach((weight, at) => {
        const row = Math.floor(at / n);
        const best = Math.max(...scores.subarray(row * n, (row + 1) * n));
        if (scores[at]! < best - gap) expect(weight).toBe(0);
        if (weight === 0) expect(dscores[at]).toBeCloseTo(0, 300);
      });
    });
    const moved = await run(
      scores.map((x) => x + 4),
      3,
      1.5,
      cotangent,
    );
    // 4 ulp of the scores
    expectClose('moved', moved.weights, results[1]!.weights, { budget: 4 * 2 ** -21 });
  });

  test('values of keys without weight are not read', async () => {
    const n = 300;
    const spread = Float32Array.from({ length: n }, (_, j) => (j % 100 === 7 ? 3 : -3));
    const v = Float32Array.from({ length: n }, (_, j) => (j % 100 === 7 ? j : NaN));
    const out = scope(() => {
      const given = (data: Float32Array): Tensor => tensor(data, [1, 1, data.length, 1], { device: on.device });
      return entmax.run(given(new Float32Array(20).fill(1)), given(spread), given(v), { scale: 1 }).out;
    });
    expectClose('means', await out.data(), new Float32Array(20).fill(107), { budget: 107 * 2 ** -21 });
    out.dispose();
  });
});
