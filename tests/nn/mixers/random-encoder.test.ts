import { expect, test } from 'vitest';
import { linearEncoder } from '../../../src/nn/mixers/linear-encoder.js';
import { randomEncoder } from '../../../src/nn/mixers/random-encoder.js';
import { disposeAll, gradients, scope, tensor } from '../../../src/tensor/index.js';
import { expectSameBits } from '../../support/compare.js';
import { onEveryDevice } from '../../support/devices.js';
import { uniform } from '../../support/random.js';
import { sizes, streamOf } from './check.js';

onEveryDevice((on) => {
  test('is the linear encoder with drawn matrices, which are not learned; the gradient passes through them', async () => {
    const { device } = on;
    const random = randomEncoder.create(sizes).initialise({ device, seed: 3 });
    const linear = linearEncoder.create(sizes).load(random.stateDict());
    expect(random.learnedTensors().size).toBe(0);
    const results = scope(() =>
      [random, linear].flatMap((mixer) => {
        const x = tensor(uniform(1, 60), [2, 6, 5], { device, requiresGradient: true });
        const out = streamOf(mixer, x, { lengths: [6, 2] });
        return [out, ...gradients([out], [x], [tensor(uniform(2, 60), [2, 6, 5], { device })])];
      }),
    );
    const [out, dx, wantOut, wantDx] = await Promise.all(results.map((one) => one.data()));
    expectSameBits('out', out!, wantOut!);
    expectSameBits('dx', dx!, wantDx!);
    disposeAll(results);
    random.dispose();
    linear.dispose();
  });

  test('rows of unit variance stay such: the variance of its weights is 1 over what they sum', async () => {
    const [length, features] = [128, 64];
    const mixer = randomEncoder.create({ ...sizes, length, features }).initialise({ device: on.device, seed: 5 });
    for (const [name, { value }] of mixer.namedParameters()) {
      const data = (await value.data()) as Float32Array;
      const n = value.shape[0]!;
      const variance = data.reduce((sum, w) => sum + w * w, 0) / data.length;
      // of n² squares of N(0, 1/n) the mean has the standard deviation √2/n²; six of them
      expect(Math.abs(variance - 1 / n), name).toBeLessThan((6 * Math.SQRT2) / n ** 2);
    }
    mixer.dispose();
  });
});

test('refuses causal models', () => {
  expect(() => randomEncoder.create({ ...sizes, causal: true })).toThrow('random-encoder: has no causal form');
});
