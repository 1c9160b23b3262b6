import { expect, test } from 'vitest';
import { OptionError } from '../../src/core/errors.js';
import type { Device } from '../../src/devices/index.js';
import { createModel, IGNORED, type LanguageModel, readConfig } from '../../src/models/index.js';
import { disposeAll, gradients, scope, tensor, type Tensor } from '../../src/tensor/index.js';
import { mul, sum } from '../../src/ops/index.js';
import { evaluate } from '../../src/train/evaluate.js';
import { lossScaler } from '../../src/train/loss-scale.js';
import type { BatchSource, TokensAndTargets } from '../../src/train/micro-batch.js';
import { sgd } from '../../src/train/optimisers/index.js';
import { constantRate } from '../../src/train/schedules.js';
import { Trainer, type TrainerOptions } from '../../src/train/trainer.js';
import { expectClose, expectSameBits } from '../support/compare.js';
import { onEveryDevice } from '../support/devices.js';

const [B, L, V] = [2, 6, 11];
const config = { vocabulary: V, length: L, layers: 1, width: 8, heads: 2 };

/** A batch whose targets count where `counts` says so. */
const batchOf = (seed: number, counts: (at: number) => boolean): TokensAndTargets => ({
  tokens: Int32Array.from({ length: B * L }, (_, i) => (7 * i + 3 * seed) % V),
  targets: Int32Array.from({ length: B * L }, (_, i) => (counts(i) ? (5 * i + seed) % V : IGNORED)),
});

/** Of very unequal numbers of targets: all, one, one row, none, every third. */
const kinds: readonly ((at: number) => boolean)[] = [
  () => true,
  (at) => at === 3,
  (at) => at < L,
  () => false,
  (at) => at % 3 === 0,
];
const parts = kinds.map((counts, i) => batchOf(i, counts));

const sourceOf = (list: readonly TokensAndTargets[], startsAnew = true): BatchSource & { windows: number } => ({
  batchSize: B,
  length: L,
  windows: B * list.length,
  batch: (step) => list[step % list.length]!,
  startsAnew: () => startsAnew,
});

const trainerOf = (device: Device, model: LanguageModel, options: Partial<TrainerOptions>): Trainer =>
  new Trainer({
    device,
    model,
    // a step of plain descent at rate 1 is the gradient
    optimiser: (parameters) => sgd(parameters),
    schedule: constantRate(1),
    batches: sourceOf(parts),
    ...options,
  });

const weightsOf = async (model: LanguageModel): Promise<Float32Array> => {
  const all = await Promise.all([...model.learnedTensors().values()].map((one) => one.data()));
  return Float32Array.from(all.flatMap((one) => [...one]));
};

/** The mean of one loss a target, in float64, and its gradient, of the targets that count in all batches. */
async function expected(
  device: Device,
  model: LanguageModel,
  batches: readonly TokensAndTargets[],
): Promise<{ readonly loss: number; readonly gradient: Float64Array; readonly tokens: number }> {
  const leaves = [...model.learnedTensors().values()];
  const gradient = new Float64Array(leaves.reduce((size, leaf) => size + leaf.size, 0));
  let [total, tokens] = [0, 0];
  for (const batch of batches) {
    const counts = Float32Array.from(batch.targets, (target) => (target === IGNORED ? 0 : 1));
    const shape = [B, L];
    const { losses, found } = scope(() => {
      const x = tensor(batch.tokens, shape, { device });
      // what is ignored is given a target, and a weight of 0
      const y = tensor(
        batch.targets.map((target) => (target === IGNORED ? 0 : target)),
        shape,
        { device },
      );
      const one = mul(
        model.loss({ tokens: x, targets: y }, { reduction: 'none' }).loss,
        tensor(counts, shape, { device }),
      );
      return { losses: one, found: gradients([sum(one)], leaves) };
    });
    for (const loss of await losses.data()) total += loss;
    tokens += counts.reduce((count, one) => count + one, 0);
    let at = 0;
    for (const part of found) for (const x of await part.data()) gradient[at++]! += x;
    disposeAll([losses, found]);
  }
  return { loss: total / tokens, gradient: gradient.map((x) => x / tokens), tokens };
}

onEveryDevice((on) => {
  const made = (extra: object = {}): LanguageModel =>
    createModel(readConfig({ ...config, ...extra })).initialise({ device: on.device, seed: 4 });

  test.each<[string, object, readonly TokensAndTargets[]]>([
    ['unequal parts', {}, parts],
    ['one part is empty, the first', {}, [parts[3]!, parts[1]!]],
    ['the last', {}, [parts[4]!, parts[0]!, parts[3]!]],
    ['the loss in chunks, some without a target', { lossChunk: 4 }, [parts[1]!, parts[2]!, parts[3]!]],
    ['one batch', {}, [parts[4]!]],
  ])('a step is the mean over the targets of all its parts: %s', async (_, extra, batches) => {
    const model = made(extra);
    const want = await expected(on.device, model, batches);
    const before = await weightsOf(model);
    const source = sourceOf(batches);
    const { loss: evaluated, tokens: of } = await evaluate({ device: on.device, model, batches: source });
    const trainer = trainerOf(on.device, model, { batches: source, accumulate: batches.length });
    const { loss, tokens, gradientNorm, skipped } = await trainer.step();
    expect([tokens, of, skipped]).toEqual([want.tokens, want.tokens, false]);
    // a few roundings of f32 in each loss
    expect(Math.abs(loss - want.loss)).toBeLessThan(8 * 2 ** -24 * want.loss);
    expect(Math.abs(evaluated - want.loss)).toBeLessThan(8 * 2 ** -24 * want.loss);
    const moved = (await weightsOf(model)).map((after, i) => before[i]! - after);
    const largest = Math.max(...want.gradient.map(Math.abs));
    // sums of as many terms as there are targets, and weights of about 1 that the difference was taken of
    const budget = (B * L * batches.length * largest + 4) * 2 ** -23;
    expectClose('gradient', moved, want.gradient, { budget });
    expect(Math.abs(gradientNorm - Math.hypot(...want.gradient))).toBeLessThan(want.gradient.length * budget);
    trainer.dispose();
    model.dispose();
  });

  test('a step without any target moves nothing, tells so, and the next goes on', async () => {
    const model = made();
    const lossScale = lossScaler({ growthInterval: 1, initial: 2 });
    const batches = sourceOf([parts[3]!, parts[3]!, parts[0]!, parts[1]!]);
    const trainer = trainerOf(on.device, model, { batches, accumulate: 2, lossScale });
    const before = await weightsOf(model);
    expect(await trainer.step()).toMatchObject({ step: 1, loss: NaN, tokens: 0, gradientNorm: 0, skipped: true });
    expectSameBits('weights', await weightsOf(model), before);
    // neither an overflow nor a good step
    expect(lossScale.state()).toEqual({ scale: 2, goodSteps: 0 });
    expect(await trainer.step()).toMatchObject({ step: 2, tokens: B * L + 1, skipped: false });
    expect(await weightsOf(model)).not.toEqual(before);
    const none = evaluate({ device: on.device, model, batches: sourceOf([parts[3]!]) });
    await expect(none).rejects.toThrow(OptionError);
    await expect(none).rejects.toThrow('no target of these windows counts');
    trainer.dispose();
    model.dispose();
  });

  test.each([
    ['transformer-xl', { memory: { length: 4 } }],
    ['compressive-transformer', { memory: { length: 4, compressed: 4, ratio: 2 } }],
  ])('%s remembers a part without a target', async (kind, extra) => {
    const model = made({ kind, ...extra });
    const batches = sourceOf([parts[3]!, parts[0]!], false);
    // what the second part is worth after the first
    const want = await scope(async () => {
      const given = (data: Int32Array): Tensor => tensor(data, [B, L], { device: on.device });
      const { state } = model.loss({ tokens: given(parts[3]!.tokens), targets: given(parts[0]!.targets) });
      const { loss } = model.loss({ tokens: given(parts[0]!.tokens), targets: given(parts[0]!.targets) }, { state });
      return loss.item();
    });
    const { loss: evaluated } = await evaluate({ device: on.device, model, batches });
    const trainer = trainerOf(on.device, model, { batches, accumulate: 2 });
    const { loss } = await trainer.step();
    expect(Math.abs(loss - want)).toBeLessThan(8 * 2 ** -24 * want);
    expect(Math.abs(evaluated - want)).toBeLessThan(8 * 2 ** -24 * want);
    trainer.dispose();
    model.dispose();
  });

  test('a model that is asked for a mean of nothing refuses, in chunks or not', () => {
    for (const lossChunk of [0, 4]) {
      const model = made({ lossChunk });
      const of = (data: Int32Array): Tensor => tensor(data, [B, L], { device: on.device });
      expect(() =>
        scope(() => void model.loss({ tokens: of(parts[3]!.tokens), targets: of(parts[3]!.targets) })),
      ).toThrow(OptionError);
      model.dispose();
    }
  });
});
