// of cli/byte-size

import { expect, test } from 'vitest';
import { createDevice } from '../../../src/devices/index.js';
import { createModel, readConfig } from '../../../src/models/index.js';
import type { TrainingPlan } from '../../../src/studies/plan-training.js';
import { adamW } from '../../../src/train/optimisers/index.js';
import { constantRate } from '../../../src/train/schedules.js';
import { Trainer } from '../../../src/train/trainer.js';
import { cli } from '../io.js';

const small = ['--layers', '3', '--width', '32', '--heads', '2', '--batch', '2'];
const argv = ['plan', 'train', ...small, '--no-probe', '--device', 'wasm', '--threads', '1'];

test('bytes are those that a step then holds, for each length and residual kind', async () => {
  const { out, code } = await cli([...argv, '--lengths', '24,48', '--json']);
  expect(code).toBe(0);
  const { rows, refused } = JSON.parse(out) as TrainingPlan;
  expect(refused).toEqual([]);
  expect(rows.map(({ length, residual, every }) => [length, residual, every])).toEqual(
    [24, 48].flatMap((length) => [
      [length, 'plain', 0],
      [length, 'reversible', 0],
      [length, 'checkpointed', 2],
    ]),
  );
  const device = await createDevice({ kind: 'wasm', threads: 1 });
  for (const { length, residual, every, peakBytes, restBytes } of rows) {
    const config = readConfig({ layers: 3, width: 32, heads: 2, length, residual: { kind: residual, every } });
    const model = createModel(config).initialise({ device, seed: 1 });
    const tokens = Int32Array.from({ length: 2 * (length + 1) }, (_, i) => (7 * i) % 256);
    const batches = { batchSize: 2, length, batch: () => tokens, startsAnew: () => true };
    const schedule = constantRate(1e-3);
    const trainer = new Trainer({ device, model, optimiser: adamW, schedule, batches, clip: 1 });
    expect(restBytes).toBe(device.ledger.live());
    expect(peakBytes).toBe((await trainer.step()).peakBytes);
    trainer.dispose();
    model.dispose();
  }
  await device.dispose();
});

test('a table says what fits, and why a kind is not there', async () => {
  const kind = ['--kind', 'transformer-xl', '--lengths', '32', '--memory-limit', '1MB'];
  const { out, code } = await cli([...argv, ...kind]);
  expect(code).toBe(0);
  expect(out).toMatch(/^A training step {2}transformer-xl, 3 layers of 32, 2 heads; flash, transformer-xl; /);
  expect(out).toMatch(/^ +32 +plain .* no$/m);
  expect(out).toContain('reversible: kind transformer-xl takes residual "plain"');
});

test('it has a help of its own', async () => {
  expect((await cli(['plan', 'train', '--help'])).out).toContain('What a training step of a whole model takes');
  expect((await cli(['plan', '--help'])).out).toContain('What attention will take before anything runs');
});
