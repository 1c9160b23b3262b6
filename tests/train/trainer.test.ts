// of train/diagnose

import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { NumericsError, OptionError } from '../../src/core/errors.js';
import { add, detach, div, sub } from '../../src/ops/index.js';
import { full, operation, type Tensor } from '../../src/tensor/index.js';
import { evaluate } from '../../src/train/evaluate.js';
import { loadCheckpoint, saveCheckpoint } from '../../src/train/checkpoint/index.js';
import { lossScaler } from '../../src/train/loss-scale.js';
import { adafactor, adamW, lion, sgd, type NamedTensors, type Optimiser } from '../../src/train/optimisers/index.js';
import { constantRate } from '../../src/train/schedules.js';
import { Trainer } from '../../src/train/trainer.js';
import { temporaryFolder } from '../data/folder.js';
import { expectClose, expectSameBits } from '../support/compare.js';
import { onEveryDevice } from '../support/devices.js';
import { chains, disposeOf, toyTrainer, weightsOf, type Trained, type ToyTrainerOptions } from './support/trainer.js';

async function trained(made: Trained, steps: number): Promise<Float32Array> {
  for (let i = 0; i < steps; i++) await made.trainer.step();
  const result = await weightsOf(made);
  disposeOf(made);
  return result;
}

const optimisers: Readonly<Record<string, (parameters: NamedTensors) => Optimiser>> = {
  adamW: (parameters) => adamW(parameters),
  adafactor: (parameters) => adafactor(parameters),
  lion: (parameters) => lion(parameters),
  sgd: (parameters) => sgd(parameters, { momentum: 0.9 }),
};

onEveryDevice((on) => {
  test('a step says what it did, and the loss falls', async () => {
    const { trainer, model } = toyTrainer(on.device, { accumulate: 2 });
    const first = await trainer.step();
    expect(first).toMatchObject({ step: 1, learningRate: 0.01, tokens: 36, skipped: false });
    expect(Math.abs(first.loss - Math.log(32))).toBeLessThan(0.2);
    expect(first.peakBytes).toBeGreaterThan(on.device.ledger.live());
    expect(first).not.toHaveProperty('lossScale');
    for (let i = 0; i < 35; i++) await trainer.step();
    const last = await trainer.step();
    expect(last.step).toBe(37);
    expect(last.loss).toBeLessThan(first.loss / 2);
    trainer.dispose();
    model.dispose();
  });

  test.each(Object.entries(optimisers))('%s: saved and loaded at any step, the same bits', async (_, optimiser) => {
    const options: ToyTrainerOptions = { optimiser, accumulate: 2, toy: { dropout: 0.2, memory: true } };
    const whole = await trained(toyTrainer(on.device, options), 6);
    for (const at of [0, 1, 3, 5]) {
      const folder = join(temporaryFolder(), 'checkpoint');
      const before = toyTrainer(on.device, options);
      for (let i = 0; i < at; i++) await before.trainer.step();
      await saveCheckpoint(folder, before.trainer.content());
      await trained(before, 1);
      const after = toyTrainer(on.device, options);
      // what it had begun with is gone
      await after.trainer.step();
      const saved = await loadCheckpoint(folder);
      await after.trainer.load(saved);
      await saved.tensors.close();
      expect(after.trainer.steps).toBe(at);
      expectSameBits(`resumed at ${at}`, await trained(after, 6 - at), whole);
    }
  });

  test('batches and dropout are numbered through all passes', async () => {
    const asked: number[] = [];
    const batches = chains(3, 6);
    const counting = { ...batches, batch: (step: number) => (asked.push(step), batches.batch(step)) };
    const run = toyTrainer(on.device, { accumulate: 2, batches: counting });
    for (const last of [1, 3, 5]) {
      await run.trainer.step();
      expect(run.model.training).toEqual({ seed: 9, step: last });
    }
    expect(asked).toEqual([0, 1, 2, 3, 4, 5]);
    disposeOf(run);
  });

  test('dropout and memory depend on the step', async () => {
    const plain = await trained(toyTrainer(on.device), 4);
    for (const toy of [{ dropout: 0.2 }, { memory: true }]) {
      expect(await trained(toyTrainer(on.device, { toy }), 4)).not.toEqual(plain);
    }
  });

  test('accumulated gradients are those of one large batch', async () => {
    // a step of plain descent at rate 1 is the gradient
    const options: ToyTrainerOptions = {
      optimiser: (parameters) => sgd(parameters),
      schedule: constantRate(1),
      clip: Infinity,
    };
    const start = await trained(toyTrainer(on.device, options), 0);
    const whole = await trained(toyTrainer(on.device, { ...options, batches: chains(6, 6) }), 1);
    const largest = Math.max(...whole.map((w, i) => Math.abs(w - start[i]!)));
    expect(largest).toBeGreaterThan(0.001);
    for (const accumulate of [2, 3]) {
      const parts = toyTrainer(on.device, { ...options, batches: chains(6 / accumulate, 6), accumulate });
      // 36 targets: sums of as many terms, each rounded
      expectClose(`${accumulate} parts`, await trained(parts, 1), whole, { budget: 36 * 2 ** -24 * largest });
    }
  });

  test('evaluation is the mean over windows, draws nothing, and leaves the weights', async () => {
    const { trainer, model } = toyTrainer(on.device, { toy: { dropout: 0.5 } });
    await trainer.step();
    const before = await weightsOf({ model });
    const batches = { ...chains(2, 6), startsAnew: () => true };
    const of = (windows: number, most?: number): ReturnType<typeof evaluate> =>
      evaluate({ device: on.device, model, batches: { ...batches, windows }, ...(most && { windows: most }) });
    const single = await Promise.all(
      [0, 1, 2].map(async (step) => {
        const one = { ...batches, batch: () => batches.batch(step), windows: 2 };
        return (await evaluate({ device: on.device, model, batches: one })).loss;
      }),
    );
    // 12 targets each
    const mean = (losses: readonly number[]): number =>
      losses.reduce((total, loss) => total + 12 * loss, 0) / (12 * losses.length);
    const all = await of(6);
    expect(all).toEqual({ loss: mean(single), windows: 6, tokens: 36 });
    expect(await of(6)).toEqual(all);
    expect(await of(7, 3)).toEqual({ loss: single[0], windows: 2, tokens: 12 });
    expect(await of(7, 4)).toEqual({ loss: mean(single.slice(0, 2)), windows: 4, tokens: 24 });
    expectSameBits('weights', await weightsOf({ model }), before);
    trainer.dispose();
    model.dispose();
  });

  test('evaluation after training is that of a model without dropout', async () => {
    const losses: number[] = [];
    for (const dropout of [0, 0.5]) {
      const run = toyTrainer(on.device, { toy: { dropout } });
      run.model.train({ seed: 1, step: 1 });
      const { model } = run;
      losses.push((await evaluate({ device: on.device, model, batches: { ...chains(2, 6), windows: 2 } })).loss);
      disposeOf(run);
    }
    expect(losses[1]).toBe(losses[0]);
  });

  describe('numbers that are not finite', () => {
    const nan = (x: Tensor): Tensor => div(sub(x, x), sub(x, x));
    const steep = (x: Tensor): Tensor => {
      const same = add(x, 0);
      const out = detach(same);
      operation('steep', [same], [out], () => [full(x.shape, Infinity, { device: x.device })]);
      return out;
    };
    test.each([
      ['layers-1', nan, 'the loss (NaN) of step 3 is not finite; first in the output of layers-1'],
      ['layers-0', nan, 'the loss (NaN) of step 3 is not finite; first in the output of layers-0'],
      ['layers-0', steep, 'a gradient of step 3 is not finite; first in the gradient of layers-0.feedForward.'],
    ])('in %s', async (layer, spoilt, message) => {
      let broken = false;
      const spoil = (path: string, x: Tensor): Tensor => (broken && path === layer ? spoilt(x) : x);
      const run = toyTrainer(on.device, { accumulate: 2, toy: { spoil, memory: true } });
      const { trainer, model } = run;
      for (let i = 0; i < 2; i++) await trainer.step();
      const before = await weightsOf({ model });
      broken = true;
      const refused: unknown = await trainer.step().catch((error: unknown) => error);
      expect(refused).toBeInstanceOf(NumericsError);
      expect((refused as Error).message).toContain(message);
      expect(trainer.steps).toBe(2);
      expectSameBits('weights', await weightsOf({ model }), before);
      // as if nothing had been
      broken = false;
      const whole = await trained(toyTrainer(on.device, { accumulate: 2, toy: { memory: true } }), 4);
      expectSameBits('afterwards', await trained(run, 2), whole);
    });

    test('a scaled loss gives the same bits; an overflow is skipped, until the scale can fall no more', async () => {
      const whole = await trained(toyTrainer(on.device), 3);
      let broken = false;
      const spoil = (path: string, x: Tensor): Tensor => (broken && path === 'layers-1' ? steep(x) : x);
      const lossScale = lossScaler({ initial: 1024, growthInterval: 2, minimum: 1024 });
      const run = toyTrainer(on.device, { lossScale, toy: { spoil } });
      expect(await run.trainer.step()).toMatchObject({ lossScale: 1024, skipped: false });
      await run.trainer.step();
      expect(await run.trainer.step()).toMatchObject({ lossScale: 2048, skipped: false });
      const before = await weightsOf(run);
      expectSameBits('scaled', before, whole);
      broken = true;
      expect(await run.trainer.step()).toMatchObject({ step: 4, lossScale: 2048, skipped: true });
      await expect(run.trainer.step()).rejects.toThrow('a gradient of step 5 is not finite');
      expectSameBits('skipped', await trained(run, 0), before);
    });

    test('a text whose loss is not finite is begun anew', async () => {
      let broken = false;
      const spoil = (path: string, x: Tensor): Tensor => (broken && path === 'layers-1' ? nan(x) : x);
      const run = toyTrainer(on.device, { lossScale: lossScaler(), toy: { spoil, memory: true } });
      const remembers = (): boolean => 'memory.before' in run.trainer.content().tensors;
      await run.trainer.step();
      expect(remembers()).toBe(true);
      broken = true;
      expect(await run.trainer.step()).toMatchObject({ loss: NaN, skipped: true });
      expect(remembers()).toBe(false);
      disposeOf(run);
    });

    test('in a parameter', async () => {
      const { trainer, model } = toyTrainer(on.device);
      const bad = model.namedParameters().get('layers-1.feedForward.down.weight')!.value;
      on.device.write(bad.buffer, Float32Array.of(Infinity), 4);
      await expect(trainer.step()).rejects.toThrow('first in parameter layers-1.feedForward.down.weight');
      trainer.dispose();
      model.dispose();
    });
  });

  test('only some parameters are trained', async () => {
    const only = (name: string): boolean => name.includes('feedForward');
    const run = toyTrainer(on.device, { only });
    const values = async (): Promise<Map<string, Float32Array>> => {
      const all = [...run.model.stateDict()].map(
        async ([name, one]) => [name, Float32Array.from(await one.data())] as const,
      );
      return new Map(await Promise.all(all));
    };
    const before = await values();
    for (let i = 0; i < 3; i++) await run.trainer.step();
    const moved = [...(await values())].filter(([name, one]) => one.some((x, i) => x !== before.get(name)![i]));
    expect(moved.map(([name]) => name)).toEqual([...run.model.learnedTensors().keys()].filter(only));
    disposeOf(run);
  });

  test('what cannot be', () => {
    const { trainer, model } = toyTrainer(on.device);
    const { options } = trainer;
    expect(() => new Trainer({ ...options, only: () => false })).toThrow('only names none of the');
    expect(() => new Trainer({ ...options, accumulate: 0 })).toThrow(OptionError);
    expect(() => new Trainer({ ...options, precision: 'f16' })).toThrow('f16 needs a lossScale');
    trainer.dispose();
    model.dispose();
  });
});
