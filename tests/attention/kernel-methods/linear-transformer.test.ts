import { test } from 'vitest';
import { linearTransformer } from '../../../src/attention/kernel-methods/index.js';
import { scope } from '../../../src/tensor/index.js';
import { gate } from '../../contract/gate/index.js';
import * as oracles from '../../oracles/kernels.js';
import { expectClose } from '../../support/compare.js';
import { onEveryDevice } from '../../support/devices.js';
import { tinyBudget, tinyProblem, tinyRows } from './tiny.js';

gate(linearTransformer, { oracle: oracles.linearTransformer, options: [{}, { featureMap: 'relu' }] });

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
