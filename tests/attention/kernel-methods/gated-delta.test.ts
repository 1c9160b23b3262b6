import { test } from 'vitest';
import { gatedDelta } from '../../../src/attention/kernel-methods/index.js';
import { disposeAll, scope, tensor, type Tensor } from '../../../src/tensor/index.js';
import { gate } from '../../contract/gate/index.js';
import * as oracles from '../../oracles/recurrent.js';
import { expectClose } from '../../support/compare.js';
import { onEveryDevice } from '../../support/devices.js';

gate(gatedDelta, {
  oracle: oracles.gatedDelta,
  options: [{}, { featureMap: 'identity' }],
  weights: 'signed',
  refused: [{ shape: { D: 1 } }],
});

onEveryDevice((on) => {
  test('half of a state is kept, and the third value takes what is left of the first', async () => {
    const row = (...x: number[]): Tensor => tensor(x, [1, 1, 4, 2], { device: on.device });
    const v = row(8, 16, 3, 4, 1, 2, 0, 0);
    const [k, q] = [row(1e3, 0, 0, 1e3, 1e3, 0, 0, 1e3), row(1e3, 0, 1e3, 0, 1e3, 0, 1e3, 0)];
    const number = (x: number): Tensor => tensor([x], [1, 1, 1], { device: on.device });
    const none = tensor([0, 0], [1, 2, 1], { device: on.device });
    // rate 1, softplus(0) = ln 2: α = ½; σ(0) = ½ = β
    const parameters = {
      rate: number(0),
      decayBias: number(0),
      betaBias: number(0),
      decayWeight: none,
      betaWeight: none,
    };
    const { out } = scope(() => gatedDelta.run(q, k, v, { featureMap: 'identity', scale: 1, parameters }));
    // S: ½·v_0; half of it; ½·(that/2) + ½·v_2; half of it
    expectClose('out', await out.data(), [4, 8, 2, 4, 1, 2, 0.5, 1], { budget: 1e-5 });
    disposeAll([out, q, k, v, parameters]);
  });
});
