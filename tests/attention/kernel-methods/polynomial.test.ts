// of attention/kernel-methods/stretches

import { expect, test } from 'vitest';
import { polynomial } from '../../../src/attention/kernel-methods/index.js';
import { scope } from '../../../src/tensor/index.js';
import { gate } from '../../contract/gate/index.js';
import * as oracles from '../../oracles/polynomial.js';
import { expectClose } from '../../support/compare.js';
import { onEveryDevice } from '../../support/devices.js';
import { tinyBudget, tinyProblem, tinyRows } from './tiny.js';

const excuse = 'weights of hidden pairs are zeros in a plain product';

gate(polynomial, {
  oracle: oracles.polynomial,
  options: [{}, { layerNorm: false, power: 2, eps: 0 }],
  weights: 'positive',
  nanSpreads: { future: excuse },
  refused: [{ options: { power: 3 } }],
  draw: (next) => ({ power: 2 + 2 * Math.floor(3 * next()), layerNorm: next() < 0.5, eps: next() }),
});

onEveryDevice((on) => {
  test('six tokens, p = 4, no norm', async () => {
    const rows = await tinyRows(
      scope(() => polynomial.run(...tinyProblem(on.device), { causal: true, layerNorm: false }).out),
    );
    expectClose('row 0', rows[0], [0.120613, -0.299808, -0.646824], { budget: tinyBudget });
    expectClose('row 5', rows[1], [-0.546164, -0.364482, -0.093562], { budget: tinyBudget });
  });
});

test('stretches of queries are multiplied with the keys they may see', () => {
  const shape = { B: 1, H: 1, G: 1, L: 16_384, S: 16_384, D: 64, E: 64 };
  const [causal, both] = [true, false].map((way) => polynomial.cost(shape, { causal: way }).multiplyAdds);
  expect(causal! / both!).toBeLessThan(0.54);
});
