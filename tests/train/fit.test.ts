import { expect, test } from 'vitest';
import { readConfig, type ModelConfig } from '../../src/models/index.js';
import { fitToMemory } from '../../src/train/fit.js';
import { rehearseTraining } from '../../src/train/rehearse.js';

const options = { batchSize: 4, like: { width: 8, threads: 2 } };
const config = readConfig({ layers: 6, width: 32, heads: 2, length: 64 });
const peak = async (own: ModelConfig, batchSize = 4): Promise<number> =>
  (await rehearseTraining(own, { ...options, batchSize })).peakBytes;
const inGroups = (every: number): ModelConfig => ({ ...config, residual: { kind: 'checkpointed', every } });

test('what fits stays what it is', async () => {
  const needed = await peak(config);
  const fitted = await fitToMemory(config, options, needed);
  expect([fitted.config, fitted.cost.peakBytes]).toEqual([config, needed]);
});

test('groups that are left open are the largest that fit', async () => {
  const peaks = await Promise.all([1, 2, 3, 4, 5, 6].map((every) => peak(inGroups(every))));
  const limit = peaks[2]!;
  const { config: found } = await fitToMemory(inGroups(0), options, limit);
  const largest = 6 - [...peaks].reverse().findIndex((bytes) => bytes <= limit);
  expect(found.residual).toEqual({ kind: 'checkpointed', every: largest });
  expect(largest).toBeLessThan(6);
});

test('what does not fit says what would, and that does', async () => {
  const reversible = await peak({ ...config, residual: { kind: 'reversible', every: 0 } });
  const limit = reversible + 1000;
  const refused = fitToMemory(config, options, limit);
  await expect(refused).rejects.toThrow(/^train: a step takes \d.* MB, and .* MB are allowed; what fits: /);
  await expect(refused).rejects.toThrow(/residual reversible \(\d/);
  await expect(fitToMemory(config, options, 1000)).rejects.toThrow(
    'nothing that was tried fits; take a smaller model.',
  );
});

test('a model with memory is not told of residuals that it does not take', async () => {
  const recurrent = readConfig({ kind: 'transformer-xl', layers: 2, width: 32, heads: 2, length: 64 });
  const least = await peak({ ...recurrent, length: 32 }, 4);
  await expect(fitToMemory(recurrent, options, least)).rejects.toThrow(/what fits: (batch 1|length 32)/);
  await expect(fitToMemory(recurrent, options, least)).rejects.not.toThrow(/residual/);
});
