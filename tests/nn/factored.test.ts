// of nn/{low-rank,stored}

import { expect, test } from 'vitest';
import { mechanism } from '../../src/attention/index.js';
import { document } from '../../src/masks/index.js';
import { Attention } from '../../src/nn/index.js';
import { FactoredProjection } from '../../src/nn/factored.js';
import { scope, tensor } from '../../src/tensor/index.js';
import { factored } from '../oracles/factored.js';
import { expectClose } from '../support/compare.js';
import { onEveryDevice } from '../support/devices.js';
import { uniform } from '../support/random.js';
import { checkModule, fill } from './check.js';
import { affine } from './formulas.js';

const features = 6;

onEveryDevice((on) => {
  // few rows are multiplied as they stand, many by a matrix of gates and weights
  test.each([
    { rows: 1, modules: 3, kernel: 3 },
    { rows: 4, modules: 3, kernel: 3 },
    { rows: 5, modules: 2, kernel: 5 },
    { rows: 4, modules: 6, kernel: 1 },
    { rows: 4, modules: 1, kernel: 3 },
  ])('%j: values and gradients', async ({ rows, ...options }) => {
    await checkModule(on.device, {
      name: JSON.stringify(options),
      module: new FactoredProjection(features, options),
      shape: [2, rows, features],
      run: (projection, x) => projection.forward(x),
      oracle: (g, x, p) =>
        g.concatRows([0, 1].map((b) => g.concatColumns(factored(g, g.rows(x, b * rows, (b + 1) * rows), p, options)))),
    });
  });

  test('one module without neighbours: a gate before a dense layer, then one of its own for each', async () => {
    await checkModule(on.device, {
      name: 'one module',
      module: new FactoredProjection(features, { modules: 1, kernel: 1 }),
      shape: [1, 7, features],
      run: (projection, x) => projection.forward(x),
      oracle: (g, x, p) => {
        const u = affine(g, g.mul(x, p('gates')), p('product'), p('bias'));
        return g.concatColumns([
          affine(g, u, p('queryKey.weight'), p('queryKey.bias')),
          affine(g, u, p('value.weight'), p('value.bias')),
        ]);
      },
    });
  });

  test('few rows and many agree up to rounding', async () => {
    const projection = new FactoredProjection(32, { modules: 4, kernel: 3 });
    fill(projection, on.device, 3);
    const x = uniform(5, 20 * 32);
    const run = async (rows: number) => {
      const y = scope(() => projection.forward(tensor(x.subarray(0, rows * 32), [1, rows, 32], { device: on.device })));
      const data = await y.data();
      y.dispose();
      return data;
    };
    const [few, many] = [await run(8), await run(20)];
    // 32 products each, then 72 of their sums
    expectClose('rows', few, many.slice(0, few.length), { budget: 32 * 72 * 2 ** -22 });
    projection.dispose();
  });

  test('attention with it takes no mask of pairs, unless a row is of itself', () => {
    const shared = { heads: 2, causal: true, mechanism: mechanism('flash'), length: 4 };
    for (const kernel of [1, 3]) {
      const attention = new Attention(features, { ...shared, projection: { modules: 2, kernel } });
      fill(attention, on.device, 3);
      expect(attention.convolves).toBe(kernel > 1);
      scope(() => {
        const x = tensor(uniform(5, 4 * features), [1, 4, features], { device: on.device });
        expect(attention.forward(x).stream.shape).toEqual([1, 4, features]);
        const masked = () => attention.forward(x, { mask: document([0, 0, 1, 1]) });
        if (kernel === 1) masked();
        else expect(masked).toThrow('projection factored takes no mask of pairs');
      });
      attention.dispose();
    }
  });
});

test('refusals', () => {
  expect(() => new FactoredProjection(6, { modules: 4, kernel: 2 })).toThrow(
    'projection factored: modules 4 must divide the 6 features; projection factored: kernel must be odd; got 2.',
  );
  expect(() => new FactoredProjection(6, { modules: 0, kernel: 3 })).toThrow('modules must be a whole number');
  const given = {
    heads: 2,
    causal: true,
    mechanism: mechanism('flash'),
    length: 4,
    projection: { modules: 2, kernel: 3 },
  };
  expect(() => new Attention(features, { ...given, kvHeads: 1 })).toThrow(
    'Attention: projection factored is of rows that are queries and keys alike, as many of each as features 6; got 2 heads of 3, 1 of keys.',
  );
  expect(() => new Attention(features, { ...given, separate: true })).toThrow('of other rows');
});
