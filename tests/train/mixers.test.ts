import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createModel, mixers, readConfig, type Transformer } from '../../src/models/index.js';
import { adamW, constantRate, loadModel, Trainer } from '../../src/train/index.js';
import { loadCheckpoint, saveCheckpoint } from '../../src/train/checkpoint/index.js';
import { temporaryFolder } from '../data/folder.js';
import { expectSameBits } from '../support/compare.js';
import { onEveryDevice } from '../support/devices.js';
import { weightsOf } from './support/trainer.js';

/** The layers of an encoder that has a mixer; what gives rows back has one before it that gives fewer. */
const fewer: Readonly<Record<string, string>> = { 'token-fuser': 'token-learner', 'perceiver-output': 'perceiver' };
const layersOf = (name: string): object[] => {
  const before = fewer[name];
  return before === undefined ? [{ mixer: name }, {}] : [{ mixer: before }, { mixer: name }];
};

onEveryDevice((on) => {
  test.each(mixers.map(({ name }) => name))(
    '%s learns, and goes on from a checkpoint with the same bits',
    async (name) => {
      const { device } = on;
      const config = readConfig({
        kind: 'encoder',
        vocabulary: 8,
        width: 8,
        heads: 2,
        length: 6,
        layers: layersOf(name),
      });
      const made = createModel(config) as Transformer;
      const targets = made.stack.rowsFor(6);
      const ints = (columns: number, times: number) => ({
        data: Int32Array.from({ length: 2 * columns }, (_, i) => (times * i) % 8),
        shape: [2, columns],
      });
      const batch = { inputs: { tokens: ints(6, 3), targets: ints(targets, 5) }, counted: 2 * targets };
      const create = (seed: number, model = createModel(config)) => {
        model.initialise({ device, seed });
        const trainer = new Trainer({
          device,
          model,
          optimiser: (parameters) => adamW(parameters),
          schedule: constantRate(0.02),
          batches: { batchSize: 2, length: 6, batch: () => batch, startsAnew: () => true },
        });
        return { model, trainer };
      };
      const one = create(1, made);
      const { loss } = await one.trainer.step();
      const folder = temporaryFolder();
      const path = join(folder, 'checkpoint');
      for (let i = 0; i < 6; i++) await one.trainer.step();
      await saveCheckpoint(path, one.trainer.content());
      writeFileSync(join(folder, 'config.json'), JSON.stringify({ model: config }));
      const loaded = await loadModel(folder, { device, weights: 'last' });
      expectSameBits('loaded', await weightsOf(loaded as never), await weightsOf(one as never));
      loaded.model.dispose();
      const last = await one.trainer.step();
      expect(last.loss).toBeLessThan(loss - 0.1);
      const other = create(2);
      const saved = await loadCheckpoint(path);
      await other.trainer.load(saved);
      await saved.tensors.close();
      await other.trainer.step();
      expectSameBits('weights', await weightsOf(other as never), await weightsOf(one as never));
      for (const { trainer, model } of [one, other]) {
        trainer.dispose();
        model.dispose();
      }
    },
  );
});
