import { expect, test } from 'vitest';
import { tokenLearner } from '../../../src/nn/mixers/token-learner.js';
import { slice } from '../../../src/ops/index.js';
import { disposeAll, scope, tensor } from '../../../src/tensor/index.js';
import { expectClose } from '../../support/compare.js';
import { onEveryDevice } from '../../support/devices.js';
import { uniform } from '../../support/random.js';
import { checkModule, fill } from '../check.js';
import { tokensOf } from '../../oracles/token-learner.js';
import { checkMixer, sizes, streamOf } from './check.js';

const options = { tokens: 3, hidden: 4 };

onEveryDevice((on) => {
  test('tokens are means of rows, weighted by softmax over the real rows', async () => {
    await checkMixer(on.device, tokenLearner, options, (g, x, p) => tokensOf(g, x, x, p));
  });

  test('weights are of normalised rows, means of the stream', async () => {
    await checkModule(on.device, {
      name: 'of another stream',
      module: tokenLearner.create(sizes, options),
      shape: [1, 6, 10],
      run: (mixer, both) =>
        streamOf(mixer, slice(both, { axis: 2, end: 5 }), { stream: slice(both, { axis: 2, start: 5 }) }),
      oracle: (g, both, p) => tokensOf(g, g.columns(both, 0, 5), g.columns(both, 5, 10), p),
    });
  });

  test('equal rows give tokens equal to them, and the order of rows does not count', async () => {
    const mixer = tokenLearner.create(sizes, options);
    fill(mixer, on.device, 3);
    const row = uniform(4, 5);
    const x = uniform(5, 35);
    const equal = Float32Array.from({ length: 35 }, (_, i) => row[i % 5]!);
    const turned = Float32Array.from({ length: 35 }, (_, i) => x[5 * (6 - Math.floor(i / 5)) + (i % 5)]!);
    const outs = scope(() =>
      [equal, x, turned].map((data) => streamOf(mixer, tensor(data, [1, 7, 5], { device: on.device }))),
    );
    const [same, one, other] = await Promise.all(outs.map((out) => out.data()));
    const want = Float64Array.from({ length: 15 }, (_, i) => row[i % 5]!);
    // a mean of 7 rows: weights and products are rounded, and added in order
    const budget = 2 * (7 + 2) * 2 ** -24 * Math.max(...row.map(Math.abs));
    expectClose('equal rows', same!, want, { budget });
    expectClose('another order', other!, one!, { budget: 2 * (7 + 2) * 2 ** -24 * 8 });
    disposeAll(outs);
    mixer.dispose();
  });
});

test('says how many rows it gives, and what it does not take', () => {
  const mixer = tokenLearner.create(sizes);
  expect(mixer.resize?.(500)).toBe(16);
  expect(() => tokenLearner.create({ ...sizes, causal: true })).toThrow('token-learner: has no causal form');
  expect(() => tokenLearner.create(sizes, { tokens: 0, hiden: 3 })).toThrow(
    /tokens must be.*did you mean "hidden"|did you mean "hidden".*tokens must be/,
  );
});
