import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createModel, readConfig, type LanguageModel, type ModelConfig } from '../../src/models/index.js';
import { evaluate } from '../../src/train/evaluate.js';
import { loadCheckpoint, saveCheckpoint } from '../../src/train/checkpoint/index.js';
import { adamW } from '../../src/train/optimisers/index.js';
import { rehearseTraining } from '../../src/train/rehearse.js';
import { constantRate } from '../../src/train/schedules.js';
import { Trainer } from '../../src/train/trainer.js';
import type { Device } from '../../src/devices/index.js';
import { temporaryFolder } from '../data/folder.js';
import { expectSameBits } from '../support/compare.js';
import { fewNatively, onEveryDevice } from '../support/devices.js';
import { generator } from '../support/random.js';
import { full } from '../support/full.js';

const [batchSize, length, segments] = [4, 6, 5];

/**
 * Streams that say the same `length` random tokens in each of their segments, new ones in every epoch: whoever sees a
 * segment alone can know its last target and no other.
 */
const repeating = (seed: number) => ({
  batchSize,
  length,
  windows: batchSize * segments * 4,
  startsAnew: (step: number) => step % segments === 0,
  batch: (step: number): Int32Array => {
    const rows = Array.from({ length: batchSize }, (_, row) => {
      const next = generator(seed + batchSize * Math.floor(step / segments) + row);
      const word = Array.from({ length }, () => Math.floor(12 * next()));
      return [...word, word[0]!];
    });
    return Int32Array.from(rows.flat());
  },
});

interface Made {
  readonly trainer: Trainer;
  readonly model: LanguageModel;
  readonly config: ModelConfig;
}

function make(device: Device, kind: string, own?: Readonly<Record<string, number>>): Made {
  const sizes = { vocabulary: 12, length, layers: 2, width: 16, heads: 2, feedForward: { hidden: 32 } };
  const memory = own ?? { length: 6, ...(kind === 'compressive-transformer' && { compressed: 3, ratio: 3 }) };
  const config = readConfig({ kind, ...sizes, memory, dropout: 0.02 });
  const model = createModel(config);
  model.initialise({ device, seed: 1 });
  const schedule = constantRate(0.01);
  const trainer = new Trainer({
    device,
    model,
    optimiser: adamW,
    schedule,
    batches: repeating(1),
    precision: 'bf16',
    clip: 1,
  });
  return { trainer, model, config };
}

async function weights(model: LanguageModel): Promise<Float32Array> {
  const all = await Promise.all([...model.stateDict().values()].map((value) => value.data()));
  return Float32Array.from(all.flatMap((one) => [...one]));
}

const kinds = ['transformer-xl', 'compressive-transformer'] as const;

onEveryDevice((on) => {
  test.each(fewNatively(on.kind, kinds, 1))(
    '%s: saved and loaded in the middle of a text, the same bits',
    async (kind) => {
      const whole = make(on.device, kind);
      for (let step = 0; step < 8; step++) await whole.trainer.step();
      const folder = join(temporaryFolder(), 'checkpoint');
      const before = make(on.device, kind);
      for (let step = 0; step < 3; step++) await before.trainer.step();
      await saveCheckpoint(folder, before.trainer.content());
      const after = make(on.device, kind);
      const saved = await loadCheckpoint(folder);
      expect(saved.tensors.entries.get('memory.recent.1')).toMatchObject({ dtype: 'bf16' });
      expect(saved.tensors.entries.has('memory.compressed.1')).toBe(kind === 'compressive-transformer');
      await after.trainer.load(saved);
      for (let step = 3; step < 8; step++) await after.trainer.step();
      expectSameBits(kind, await weights(after.model), await weights(whole.model));
      await saved.tensors.close();
      for (const { trainer, model } of [whole, before, after]) {
        trainer.dispose();
        model.dispose();
      }
    },
  );

  test('what a step takes is foretold for a memory that is full', async () => {
    const { trainer, model, config } = make(on.device, 'compressive-transformer', {
      length: 13,
      compressed: 3,
      ratio: 3,
    });
    const like = on.device.info;
    const foretold = await rehearseTraining(config, { batchSize, like, precision: 'bf16' });
    const peaks: number[] = [];
    for (let step = 0; step < segments; step++) peaks.push((await trainer.step()).peakBytes);
    expect(Math.max(...peaks.slice(-3))).toBe(foretold.peakBytes);
    // and before it is full it takes less than that
    expect(peaks[1]! / foretold.peakBytes).toBeLessThan(0.95);
    const counted = [...foretold.work.values()].reduce((sum, { multiplyAdds }) => sum + multiplyAdds, 0);
    expect(counted).toBe(foretold.multiplyAdds);
    trainer.dispose();
    model.dispose();
  });

  // seconds of training each
  test.each(full ? kinds : on.kind === 'wasm' ? kinds.slice(0, 1) : [])(
    '%s: knows by its memory what no segment says',
    async (kind) => {
      const { trainer, model } = make(on.device, kind);
      for (let step = 0; step < 40 * segments; step++) await trainer.step();
      const batches = repeating(1_000_000);
      const { loss, windows } = await evaluate({ device: on.device, model, batches });
      expect(windows).toBe(batches.windows);
      const alone = await evaluate({ device: on.device, model, batches: { ...batches, startsAnew: () => true } });
      // without memory 5 of 6 targets are one of 12; with it those of the first of 5 segments are
      expect(alone.loss).toBeGreaterThan((5 / 6) * Math.log(12));
      expect(loss).toBeLessThan(0.6 * Math.log(12));
      trainer.dispose();
      model.dispose();
    },
  );
});
