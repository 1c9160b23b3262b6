// of nn/mixers/short-convolution

import { expect, test } from 'vitest';
import { gatedDeltaNet } from '../../../src/nn/mixers/gated-delta-net.js';
import { gatedDeltaMixer } from '../../oracles/gated-delta-net.js';
import { onEveryDevice } from '../../support/devices.js';
import { checkRealRows, sizes } from './check.js';

const options = { heads: 4, keyHeads: 2, keySize: 3, valueSize: 5, kernel: 3 };

onEveryDevice((on) => {
  test('is a state that each token makes forget and corrects where its key was written to', async () => {
    const { heads, keyHeads, keySize: D, valueSize: E } = options;
    await checkRealRows(
      on.device,
      gatedDeltaNet,
      options,
      (g, x, p) => {
        const made = g.matmul(x, p('in'));
        const gates = g.matmul(x, p('gates'));
        const [values, rest] = [2 * keyHeads * D, 2 * keyHeads * D + heads * E];
        return gatedDeltaMixer(
          g,
          {
            q: (h) => g.columns(made, h * D, (h + 1) * D),
            k: (h) => g.columns(made, (keyHeads + h) * D, (keyHeads + h + 1) * D),
            v: (h) => g.columns(made, values + h * E, values + (h + 1) * E),
            z: (h) => g.columns(made, rest + h * E, rest + (h + 1) * E),
            b: (h) => g.columns(gates, h, h + 1),
            a: (h) => g.columns(gates, heads + h, heads + h + 1),
            convolution: p('convolution'),
            step: p('step'),
            rate: p('rate'),
            norm: p('norm'),
            out: p('out'),
          },
          { ...options, epsilon: 1e-6 },
        );
      },
      { causal: true },
    );
  });
});

test('what cannot be is refused', () => {
  expect(() => gatedDeltaNet.create({ ...sizes, causal: true }, { ...options, keyHeads: 3 })).toThrow(
    /keyHeads must divide the 4 heads; got 3/,
  );
  expect(() => gatedDeltaNet.create({ ...sizes, causal: true }, { ...options, keySize: 1 })).toThrow(
    /keySize must be at least 2/,
  );
});
