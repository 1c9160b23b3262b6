import { expect, test } from 'vitest';
import { tokenFuser } from '../../../src/nn/mixers/token-fuser.js';
import { slice } from '../../../src/ops/index.js';
import { scope, tensor } from '../../../src/tensor/index.js';
import { onEveryDevice } from '../../support/devices.js';
import { uniform } from '../../support/random.js';
import { checkModule } from '../check.js';
import type { Matrix } from '../../oracles/graph.js';
import { fused } from '../../oracles/token-learner.js';
import { sizes, streamOf } from './check.js';

const options = { tokens: 3, hidden: 4 };

onEveryDevice((on) => {
  test('rows are sums of mixed tokens, by gates that each row of the earlier stream makes', async () => {
    const rows = 6;
    await checkModule(on.device, {
      name: 'token-fuser',
      module: tokenFuser.create(sizes, options),
      // tokens, then the rows they were made of
      shape: [2, 3 + rows, 5],
      run: (mixer, both) =>
        streamOf(mixer, slice(both, { axis: 1, end: 3 }), { earlier: slice(both, { axis: 1, start: 3 }) }),
      oracle: (g, both, p) => {
        const one = (b: number): Matrix => {
          const own = g.rows(both, b * (3 + rows), (b + 1) * (3 + rows));
          return fused(g, g.rows(own, 0, 3), g.rows(own, 3, 3 + rows), p);
        };
        return g.concatRows([one(0), one(1)]);
      },
    });
  });

  test('before training it adds nothing', async () => {
    const mixer = tokenFuser.create(sizes, options).initialise({ device: on.device, seed: 1 });
    const out = scope(() =>
      streamOf(mixer, tensor(uniform(1, 15), [1, 3, 5], { device: on.device }), {
        earlier: tensor(uniform(2, 30), [1, 6, 5], { device: on.device }),
      }),
    );
    expect([...out.shape]).toEqual([1, 6, 5]);
    expect((await out.data()).every((value) => value === 0)).toBe(true);
    out.dispose();
    mixer.dispose();
  });

  test('refuses other tokens than it is made for, and to be without the rows it gives back to', () => {
    const mixer = tokenFuser.create(sizes, options).initialise({ device: on.device, seed: 1 });
    scope(() => {
      const rows = (n: number) => tensor(uniform(1, 5 * n), [1, n, 5], { device: on.device });
      expect(() => mixer.forward(rows(3), {})).toThrow('takes the stream that had more rows, as earlier');
      expect(() => mixer.forward(rows(4), { earlier: rows(6) })).toThrow('takes 3 rows; got [1,4,5]');
    });
    mixer.dispose();
  });
});

test('refuses causal models', () => {
  expect(() => tokenFuser.create({ ...sizes, causal: true })).toThrow('token-fuser: has no causal form');
});
