import { test } from 'vitest';
import { retention } from '../../../src/attention/kernel-methods/index.js';
import { disposeAll, scope, tensor } from '../../../src/tensor/index.js';
import { gate } from '../../contract/gate/index.js';
import * as oracles from '../../oracles/recurrent.js';
import { expectClose } from '../../support/compare.js';
import { onEveryDevice } from '../../support/devices.js';

gate(retention, { oracle: oracles.retention, weights: 'signed' });

onEveryDevice((on) => {
  test('one key a head: head h has kept (1 − 2^(−5−h))^t of it after t tokens (section 2.1)', async () => {
    const first = tensor(
      Array.from({ length: 6 }, (_, i) => Number(i % 3 === 0)),
      [1, 2, 3, 1],
      { device: on.device },
    );
    const q = tensor(new Array<number>(6).fill(1), [1, 2, 3, 1], { device: on.device });
    const { out } = scope(() => retention.run(q, first, q));
    expectClose('out', await out.data(), [1, 31 / 32, (31 / 32) ** 2, 1, 63 / 64, (63 / 64) ** 2]);
    disposeAll([out, q, first]);
  });
});
