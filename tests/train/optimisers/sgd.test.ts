// of train/optimisers/expressions

import { test } from 'vitest';
import { sgd, type SgdOptions } from '../../../src/train/optimisers/index.js';
import { expectSameBits } from '../../support/compare.js';
import { onEveryDevice } from '../../support/devices.js';
import * as reference from './reference.js';
import { checkAgainst, oneStep } from './run.js';

onEveryDevice((on) => {
  test.each<[string, SgdOptions & { weightDecay: number }]>([
    ['plain', { weightDecay: 0.2 }],
    ['momentum', { momentum: 0.9, weightDecay: 0.2 }],
    ['Nesterov', { momentum: 0.9, nesterov: true, weightDecay: 0.2 }],
  ])('20 steps agree with the formulas: %s', (_, options) =>
    checkAgainst(
      on.device,
      (parameters) => sgd(parameters, options),
      (shape) =>
        reference.sgd(options.momentum ?? 0, options.nesterov ?? false, shape.length >= 2 ? options.weightDecay : 0),
    ),
  );

  test('two steps by hand', async () => {
    const two = [[1], [1]];
    expectSameBits('plain', await oneStep(on.device, sgd, [0], two, 0.5), [-1]);
    // velocities 1, 1.5
    expectSameBits('momentum', await oneStep(on.device, (p) => sgd(p, { momentum: 0.5 }), [0], two, 0.5), [-1.25]);
    // 1 + 0.5·1, then 1 + 0.5·1.5
    const nesterov = await oneStep(on.device, (p) => sgd(p, { momentum: 0.5, nesterov: true }), [0], two, 0.5);
    expectSameBits('Nesterov', nesterov, [-1.625]);
  });
});
