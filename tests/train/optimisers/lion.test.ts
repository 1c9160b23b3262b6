import { expect, test } from 'vitest';
import { lion } from '../../../src/train/optimisers/index.js';
import { expectSameBits } from '../../support/compare.js';
import { onEveryDevice } from '../../support/devices.js';
import * as reference from './reference.js';
import { checkAgainst, oneStep } from './run.js';

onEveryDevice((on) => {
  test('20 steps agree with the formulas', () =>
    checkAgainst(
      on.device,
      (parameters) => lion(parameters, { beta1: 0.85, beta2: 0.97, weightDecay: 0.3 }),
      (shape) => reference.lion(0.85, 0.97, shape.length >= 2 ? 0.3 : 0),
    ));

  test('every number moves by the learning rate, and by nothing without a gradient', async () => {
    const after = await oneStep(on.device, lion, [1, 1, 1, 1], [[1e-20, -0.5, 300, 0]], 0.125);
    expectSameBits('first step', after, [0.875, 1.125, 0.875, 1]);
  });

  test('the direction looks at the momentum before this gradient', async () => {
    // after g = 10, m = 0.1; then 0.9·0.1 + 0.1·g changes its sign at g = −0.9
    const steps = [
      [10, 10],
      [-0.8, -1],
    ];
    expectSameBits('second step', await oneStep(on.device, lion, [1, 1], steps, 0.25), [0.5, 1]);
  });

  test('a NaN is not taken for 0', async () => {
    const after = await oneStep(on.device, lion, [1, 1], [[NaN, 0]], 0.125);
    expect([...(after as Float32Array)]).toEqual([NaN, 1]);
  });
});
