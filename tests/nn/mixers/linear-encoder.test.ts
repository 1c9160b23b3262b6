// of nn/mixers/two-matrices

import { expect, test } from 'vitest';
import { linearEncoder } from '../../../src/nn/mixers/linear-encoder.js';
import { scope, tensor } from '../../../src/tensor/index.js';
import { expectSameBits } from '../../support/compare.js';
import { onEveryDevice } from '../../support/devices.js';
import { uniform } from '../../support/random.js';
import { checkMixer, sizes, streamOf } from './check.js';

onEveryDevice((on) => {
  test('is S x H, of the rows and columns that there are', async () => {
    await checkMixer(on.device, linearEncoder, {}, (g, x, p, rows) =>
      g.matmul(g.matmul(g.columns(g.rows(p('rows'), 0, rows), 0, x.rows), x), p('features')),
    );
  });

  test('two identities leave all as it is', async () => {
    const mixer = linearEncoder.create(sizes);
    const identity = (n: number) =>
      tensor(
        Float32Array.from({ length: n * n }, (_, i) => Number(i % (n + 1) === 0)),
        [n, n],
        { device: on.device },
      );
    const x = uniform(1, 35);
    const out = scope(() => {
      mixer.load(
        new Map([
          ['rows', identity(7)],
          ['features', identity(5)],
        ]),
      );
      return streamOf(mixer, tensor(x, [1, 7, 5], { device: on.device }));
    });
    expectSameBits('out', await out.data(), x);
    out.dispose();
    mixer.dispose();
  });
});

test('refuses causal models, and options it does not have', () => {
  expect(() => linearEncoder.create({ ...sizes, causal: true })).toThrow('linear-encoder: has no causal form');
  expect(() => linearEncoder.create(sizes, { rank: 3 })).toThrow('rank');
});
