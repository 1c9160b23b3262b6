// of attention/kernel-methods/feature-maps

import { test } from 'vitest';
import { linearTransformer } from '../../../src/attention/kernel-methods/index.js';
import { scope } from '../../../src/tensor/index.js';
import { gate } from '../../contract/gate/index.js';
import * as oracles from '../../oracles/feature-maps.js';
import { expectClose } from '../../support/compare.js';
import { onEveryDevice } from '../../support/devices.js';
import { tinyBudget, tinyProblem, tinyRows } from './tiny.js';

const maps = ['elu1', 'relu', 'exp', 'softmax', 'dpfp', 'hedgehog', 't2r', 'taylor', 'rebased'] as const;

gate(linearTransformer, {
  oracle: oracles.linearTransformer,
  options: [
    {},
    { featureMap: 'relu' },
    { featureMap: 'exp' },
    { featureMap: 'softmax' },
    { featureMap: 'dpfp' },
    { featureMap: 'hedgehog' },
    { featureMap: 't2r' },
    { featureMap: 'taylor' },
    { featureMap: 'rebased' },
  ],
  draw: (next) => {
    const featureMap = maps[Math.floor(next() * maps.length)]!;
    return { featureMap, nu: 1 + Math.floor(2 * next()), eps: featureMap === 'exp' || next() < 0.5 ? 0 : next() };
  },
  refused: [{ options: { featureMap: 'dpfp', nu: 16 } }, { options: { featureMap: 'exp', eps: 1e-6 } }],
});

const last = [-0.149376, -0.253117, -0.294885];
const cases = [
  [false, [-0.171257, -0.264158, -0.292384]],
  // one key: its value
  [true, [0.14112, -0.350783, -0.756802]],
] as const;

onEveryDevice((on) => {
  test.each(cases)('six tokens, causal %s', async (causal, first) => {
    const rows = await tinyRows(scope(() => linearTransformer.run(...tinyProblem(on.device), { causal }).out));
    expectClose('row 0', rows[0], first, { budget: tinyBudget });
    expectClose('row 5', rows[1], last, { budget: tinyBudget });
  });
});
