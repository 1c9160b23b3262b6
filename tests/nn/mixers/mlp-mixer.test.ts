// of nn/mixers/fixed-rows

import { expect, test } from 'vitest';
import { createModel, readConfig } from '../../../src/models/index.js';
import { mlpMixer } from '../../../src/nn/mixers/mlp-mixer.js';
import { disposeAll, scope, tensor } from '../../../src/tensor/index.js';
import { expectClose } from '../../support/compare.js';
import { onEveryDevice } from '../../support/devices.js';
import { uniform } from '../../support/random.js';
import { fill } from '../check.js';
import { activated, affine } from '../formulas.js';
import { checkMixer, sizes, streamOf } from './check.js';

onEveryDevice((on) => {
  test('is a perceptron over the rows of every feature, with weights of the rows that there are', async () => {
    await checkMixer(on.device, mlpMixer, { hidden: 13 }, (g, x, p, rows) => {
      const hidden = activated(g, 'gelu-tanh', affine(g, g.transpose(x), g.rows(p('up'), 0, x.rows), p('upBias')));
      return g.transpose(affine(g, hidden, g.columns(p('down'), 0, rows), g.columns(p('downBias'), 0, rows)));
    });
  });

  test('features that change places change places in the result', async () => {
    const mixer = mlpMixer.create(sizes, { hidden: 9 });
    fill(mixer, on.device, 3);
    const { length, features } = sizes;
    const x = uniform(1, length * features);
    const places = [3, 0, 4, 1, 2];
    const moved = (data: ArrayLike<number>): Float32Array =>
      Float32Array.from(data, (_, i) => data[i - (i % features) + places[i % features]!]!);
    const [one, other] = scope(() =>
      [x, moved(x)].map((data) => streamOf(mixer, tensor(data, [1, length, features], { device: on.device }))),
    );
    const want = moved(await one!.data());
    expectClose('out', await other!.data(), want);
    disposeAll([one!, other!]);
    mixer.dispose();
  });

  test('more rows than there are weights for are refused', () => {
    const mixer = mlpMixer.create(sizes).initialise({ device: on.device, seed: 1 });
    scope(() => {
      const x = tensor(uniform(1, 40), [1, 8, 5], { device: on.device });
      expect(() => mixer.forward(x, {})).toThrow('mlp-mixer: has weights for 7 rows; got 8.');
    });
    mixer.dispose();
  });
});

test('Mixer-B/16 has the parameters of the paper: 59 M, stem and head included', () => {
  const config = readConfig({
    kind: 'encoder',
    length: 196,
    layers: 12,
    width: 768,
    heads: 12,
    bias: true,
    norm: { kind: 'layer' },
    position: 'none',
    feedForward: { hidden: 3072 },
    mixer: { name: 'mlp-mixer', options: { hidden: 384 } },
  });
  const sizeOf = (shape: readonly number[]): number => shape.reduce((size, extent) => size * extent, 1);
  const parameters = [...createModel(config).namedParameters()].filter(([name]) => name.startsWith('stack.'));
  const layers = parameters.reduce((sum, [, { spec }]) => sum + sizeOf(spec.shape), 0);
  const [stem, head] = [16 * 16 * 3 * 768 + 768, 768 * 1000 + 1000];
  // table 1 of the paper
  expect(Math.floor((layers + stem + head) / 1e6)).toBe(59);
  expect(layers).toBe(12 * (2 * 196 * 384 + 384 + 196 + 2 * 768 * 3072 + 3072 + 768 + 4 * 768) + 2 * 768);
});

test('says what it does not take', () => {
  expect(() => mlpMixer.create({ ...sizes, causal: true })).toThrow('mlp-mixer: has no causal form');
  expect(() => mlpMixer.create(sizes, { hidden: 0 })).toThrow('hidden must be a whole number of at least 1; got 0');
});
