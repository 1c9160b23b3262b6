// of attention/kernel-methods/recurrent

import { test } from 'vitest';
import { delta } from '../../../src/attention/kernel-methods/index.js';
import { disposeAll, scope, tensor, type Tensor } from '../../../src/tensor/index.js';
import { gate } from '../../contract/gate/index.js';
import * as oracles from '../../oracles/recurrent.js';
import { expectClose } from '../../support/compare.js';
import { onEveryDevice } from '../../support/devices.js';

gate(delta, {
  oracle: oracles.delta,
  options: [{}, { featureMap: 'identity' }],
  weights: 'signed',
  refused: [{ shape: { D: 1 } }],
});

onEveryDevice((on) => {
  test.each([
    // β = σ(±60): all of it is written, or none
    [60, [1, 2, 3, 4, 5, 6, 3, 4]],
    [-60, [0, 0, 0, 0, 0, 0, 0, 0]],
  ])('keys at right angles, one of them twice, b = %i', async (bias, want) => {
    const row = (...x: number[]): Tensor => tensor(x, [1, 1, 4, 2], { device: on.device });
    const v = row(1, 2, 3, 4, 5, 6, 7, 8);
    // key 0 is overwritten at position 2, and key 1 asked for before position 3 overwrites it
    const [k, q] = [row(5, 0, 0, 2, 3, 0, 4, 0), row(1, 0, 0, 1, 1, 0, 0, 1)];
    const parameters = {
      betaWeight: tensor([0, 0], [1, 2, 1], { device: on.device }),
      betaBias: tensor([bias], [1, 1, 1], { device: on.device }),
    };
    const { out } = scope(() => delta.run(q, k, v, { featureMap: 'identity', scale: 1, parameters }));
    // lengths are those of the formula, a little above: 1e-6 of a row of length 1
    expectClose('out', await out.data(), want, { budget: 1e-5 });
    disposeAll([out, q, k, v, parameters]);
  });
});
