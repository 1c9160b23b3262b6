import { describe, expect, test } from 'vitest';
import { createModel, openSession, readConfig, type ModelState, type XlNet } from '../../src/models/index.js';
import { onEveryDevice } from '../support/devices.js';
import { checkModel, tokensOf } from './check.js';
import { MemoryOracle, type RowsBefore } from './memory-oracle.js';

const text = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8];
const base = {
  kind: 'xlnet',
  vocabulary: 10,
  length: 4,
  layers: 2,
  width: 8,
  heads: 2,
  feedForward: { hidden: 10 },
  memory: { length: 5 },
};
const segments = { types: 3 };

describe('XlNet', () => {
  onEveryDevice((on) => {
    test.each([
      ['as published', { norm: { kind: 'layer', place: 'post' }, position: { method: 'transformer-xl', segments } }],
      [
        'types that are not told, few rows that are kept',
        { memory: { length: 5, reuse: 3 }, position: { method: 'transformer-xl', components: 6 }, bias: true },
      ],
      [
        'each token sees those before it alone',
        { kind: 'transformer-xl', position: { method: 'transformer-xl', segments } },
      ],
    ])('%s: losses of three segments and all gradients are those of the formula', async (name, own) => {
      const model = createModel(readConfig({ ...base, ...own })) as XlNet;
      const told = 'segments' in own.position;
      const types = [2, 0, 0, 1];
      const parts = [0, 4, 8].map((start) => text.slice(start, start + 4));
      await checkModel(on.device, {
        name,
        module: model,
        weights: [0.7, -1.3, 1.1],
        run: () => {
          let state: ModelState | undefined;
          return parts.map((part) => {
            const tokens = tokensOf(on.device, part);
            const next = model.loss(
              { tokens, targets: tokens, ...(told && { types: tokensOf(on.device, types) }) },
              { state },
            );
            state = next.state;
            return next.loss;
          });
        },
        oracle: (g, parameter) => {
          const oracle = new MemoryOracle(g, model.config, parameter, 'stack', true);
          if (told) oracle.types = types;
          let memories: readonly RowsBefore[] = [];
          return parts.map((part) => {
            const next = oracle.segment(part, part, memories);
            ({ memories } = next);
            return next.loss;
          });
        },
      });
      model.dispose();
    });
  });

  test('is no model of the next token, and says so', () => {
    const model = createModel(readConfig(base));
    expect(() => openSession(model, { maxLength: 8 })).toThrow('does not decode step by step');
  });

  test.each([
    [{ kind: 'encoder', memory: { initial: 'zeros' } }, 'are for kinds with memory'],
    [{ position: { method: 'transformer-xl', clamp: 3 } }, 'position.clamp is for decoders without segments'],
    [{ kind: 'compressive-transformer', memory: { length: 5, reuse: 2 } }, 'are not for what is compressed'],
    [{ mixer: 'fnet' }, 'kind xlnet attends to its memory'],
  ])('%j is refused', (config, why) => {
    expect(() => readConfig({ ...base, ...config })).toThrow(why);
  });
});
