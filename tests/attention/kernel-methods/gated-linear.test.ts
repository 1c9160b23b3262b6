import { test } from 'vitest';
import { gatedLinear } from '../../../src/attention/kernel-methods/index.js';
import { disposeAll, scope, tensor, type Tensor } from '../../../src/tensor/index.js';
import { gate } from '../../contract/gate/index.js';
import { perHead } from '../../oracles/graph.js';
import * as oracles from '../../oracles/recurrent.js';
import { expectClose } from '../../support/compare.js';
import { onEveryDevice } from '../../support/devices.js';

gate(gatedLinear, {
  oracle: oracles.gatedLinear,
  options: [{}, { tau: 0.25 }],
  weights: 'signed',
  exactWhen: [
    {
      // nothing is forgotten: linear attention without a divisor
      parameters: (name, _, drawn) => drawn.map(() => (name === 'gateBias' ? 60 : 0)),
      equals: perHead((g, p, b, h) => {
        const scores = g.scale(g.matmulT(p.q(b, h), p.k(b, h)), p.scale);
        return g.matmul(
          g.mask(scores, (i, j) => p.allowed(b, h, i, j)),
          p.v(b, h),
        );
      }),
    },
  ],
});

onEveryDevice((on) => {
  test('a gate of 0 keeps the 16th root of a half, and one of −320 e^−20', async () => {
    const row = (...x: number[]): Tensor => tensor(x, [1, 1, 3, 1], { device: on.device });
    const [q, k, gate] = [row(1, 1, 1), row(1, 0, 0), row(9, 0, -320)];
    const parameters = {
      gateWeight: tensor([1], [1, 1, 1], { device: on.device }),
      gateBias: tensor([0], [1, 1, 1], { device: on.device }),
    };
    const { out } = scope(() => gatedLinear.run(q, k, q, { inputs: { gate }, parameters }));
    const got = await out.data();
    expectClose('out', got.slice(0, 2), [1, 2 ** (-1 / 16)]);
    expectClose('least', [got[2]!], [2 ** (-1 / 16) * Math.exp(-20)], { budget: 40 * 2 ** -24 * Math.exp(-20) });
    disposeAll([out, q, k, gate, parameters]);
  });
});
