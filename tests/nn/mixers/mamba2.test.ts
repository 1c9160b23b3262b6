import { expect, test } from 'vitest';
import { OptionError } from '../../../src/core/errors.js';
import { createModel, openSession, readConfig } from '../../../src/models/index.js';
import { mamba2 } from '../../../src/nn/mixers/mamba2.js';
import { mamba2Mixer } from '../../oracles/mamba2.js';
import { checkGreedy } from '../../pretrained/greedy.js';
import { onEveryDevice } from '../../support/devices.js';
import { checkRealRows, sizes } from './check.js';

const options = { heads: 4, headSize: 3, groups: 2, state: 5, kernel: 3 };
const optional = (has: boolean, name: string): string | undefined => (has ? name : undefined);

onEveryDevice((on) => {
  test.each([
    ['with biases of the convolution', {}],
    ['with biases of the projections', { bias: true, convolutionBias: false }],
  ])('is a state that each token makes forget, writes to and reads, %s', async (_, more) => {
    const own = { bias: false, convolutionBias: true, ...more };
    await checkRealRows(
      on.device,
      mamba2,
      { ...options, ...own },
      (g, x, p) => {
        const given = (name: string | undefined) => (name === undefined ? undefined : p(name));
        const weights = {
          in: p('in'),
          inBias: given(optional(own.bias, 'inBias')),
          convolution: p('convolution'),
          convolutionBias: given(optional(own.convolutionBias, 'convolutionBias')),
          step: p('step'),
          rate: p('rate'),
          skip: p('skip'),
          norm: p('norm'),
          out: p('out'),
          outBias: given(optional(own.bias, 'outBias')),
        };
        return mamba2Mixer(g, x, weights, { ...options, epsilon: 1e-5 });
      },
      { causal: true },
    );
  });

  test('a decoder of nothing else goes on with a text, and learns without a second branch', async () => {
    const config = readConfig({
      vocabulary: 11,
      length: 16,
      layers: 2,
      width: 8,
      position: 'none',
      mixer: { name: 'mamba2', options },
      feedForward: 'none',
    });
    const model = createModel(config).initialise({ device: on.device, seed: 2 });
    expect([...model.stateDict().keys()].filter((name) => name.includes('feedForward'))).toEqual([]);
    await checkGreedy(model, [1, 2, 3], 6, on.device);
    const session = openSession(model, { maxLength: 9 });
    expect(session.length).toBe(0);
    session.dispose();
    model.dispose();
  });
});

test('what cannot be is refused', () => {
  expect(() => mamba2.create({ ...sizes, causal: true }, { ...options, groups: 3 })).toThrow(
    /groups must divide the 4 heads; got 3/,
  );
  expect(() => readConfig({ residual: 'reversible', feedForward: 'none' })).toThrow(OptionError);
});
