import { test } from 'vitest';
import { adamW } from '../../../src/train/optimisers/index.js';
import { expectClose } from '../../support/compare.js';
import { onEveryDevice } from '../../support/devices.js';
import * as reference from './reference.js';
import { checkAgainst, oneStep } from './run.js';

onEveryDevice((on) => {
  test('20 steps agree with the formulas; vectors do not decay', () =>
    checkAgainst(
      on.device,
      (parameters) => adamW(parameters, { beta1: 0.8, beta2: 0.95, epsilon: 1e-6, weightDecay: 0.1 }),
      (shape) => reference.adamW(0.8, 0.95, 1e-6, shape.length >= 2 ? 0.1 : 0),
    ));

  test('the predicate decides what decays', () =>
    checkAgainst(
      on.device,
      (parameters) => adamW(parameters, { weightDecay: 0.1, decays: (name) => name === 'p37' }),
      (shape) => reference.adamW(0.9, 0.999, 1e-8, shape.length === 1 ? 0.1 : 0),
    ));

  // Kingma, Ba 2014, section 2.1: the size of a step is about the learning rate, whatever the scale of the gradients
  test('the first step has the size of the learning rate', async () => {
    const after = await oneStep(on.device, adamW, [0, 0, 0, 0], [[1e-4, -0.5, 300, 0]], 0.125);
    // ε = 1e-8 beside 1e-4
    expectClose('first step', after, [-0.125 / (1 + 1e-4), 0.125, -0.125, 0], { budget: 0.125 * 2 ** -22 });
  });

  test('a constant gradient moves by the learning rate at every step', async () => {
    const ten = Array.from({ length: 10 }, () => [2, -3]);
    const after = await oneStep(on.device, adamW, [0, 0], ten, 2 ** -6);
    expectClose('ten steps', after, [-10 * 2 ** -6, 10 * 2 ** -6], { budget: 10 * 2 ** -6 * 2 ** -20 });
  });
});
