import { describe, test } from 'vitest';
import { onWebAssemblyFirst } from '../../support/devices.js';
import { checkGreedy } from '../greedy.js';
import { checkMade } from '../made.js';
import { madeDecoders } from './made-decoders.js';

describe('decoders with random weights under published names', () => {
  onWebAssemblyFirst((on) => {
    test.each(Object.entries(madeDecoders))('%s', async (_, made) => {
      const { model } = await checkMade(made, on.device);
      await checkGreedy(model, [3, 1, 4, 1, 5], 6, on.device);
      model.dispose();
    });
  });
});
