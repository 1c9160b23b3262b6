import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { OptionError } from '../../src/core/errors.js';
import { EncoderDecoder, IGNORED, readConfig, Transformer } from '../../src/models/index.js';
import type { Loss, LossOptions, Model } from '../../src/models/index.js';
import { Linear, Module } from '../../src/nn/index.js';
import { crossEntropy, detach, tanh } from '../../src/ops/index.js';
import { scope, tensor, type Tensor } from '../../src/tensor/index.js';
import { loadCheckpoint, saveCheckpoint } from '../../src/train/checkpoint/index.js';
import { evaluate } from '../../src/train/evaluate.js';
import { Means, type BatchSource, type HostBatch, type HostInput } from '../../src/train/micro-batch.js';
import { adamW, sgd } from '../../src/train/optimisers/index.js';
import { constantRate } from '../../src/train/schedules.js';
import { Trainer, type TrainerOptions } from '../../src/train/trainer.js';
import { temporaryFolder } from '../data/folder.js';
import { expectClose, expectSameBits } from '../support/compare.js';
import { onEveryDevice } from '../support/devices.js';
import { uniform } from '../support/random.js';

const [B, L, V] = [4, 6, 7];
const small = { vocabulary: V + 1, length: L, layers: 1, width: 8, heads: 2, feedForward: { hidden: 8 } };

const i32 = (shape: readonly number[], of: (at: number) => number): HostInput => ({
  data: Int32Array.from({ length: shape.reduce((size, extent) => size * extent, 1) }, (_, at) => of(at)),
  shape,
});

/** Rows by number, any of which may make a batch. */
interface Rows {
  readonly rows: readonly number[];
}

/** One token of each row is hidden, and one more of some: it is that of the place before and after. Rows differ in length. */
function masked({ rows }: Rows): HostBatch {
  const lengths = rows.map((row) => 3 + (row % (L - 2)));
  const token = (row: number): number => (5 * row) % V;
  const hidden = (row: number, at: number): boolean => at === row % 3 || (row % 2 === 0 && at === (row + 1) % 3);
  const real = (row: number, at: number): boolean => at < 3 + (row % (L - 2));
  const place = (at: number): [row: number, at: number] => [rows[Math.floor(at / L)]!, at % L];
  const shape = [rows.length, L];
  const tokens = i32(shape, (i) => {
    const [row, at] = place(i);
    // what lies beyond a row is never the same
    return !real(row, at) ? (i + row) % V : hidden(row, at) ? V : token(row);
  });
  const targets = i32(shape, (i) => {
    const [row, at] = place(i);
    return real(row, at) && hidden(row, at) ? token(row) : IGNORED;
  });
  return { inputs: { tokens, targets, lengths }, counted: countOf(targets) };
}

/** The target is the source, of a length of its own, token by token. */
function copied({ rows }: Rows): HostBatch {
  const lengths = rows.map((row) => 2 + (row % (L - 1)));
  const letter = (row: number, at: number): number => (3 * row + 2 * at) % V;
  const filled = (of: (row: number, at: number, length: number) => number): HostInput =>
    i32([rows.length, L], (i) => of(rows[Math.floor(i / L)]!, i % L, lengths[Math.floor(i / L)]!));
  const targets = filled((row, at, length) => (at < length ? letter(row, at) : IGNORED));
  const source = filled((row, at, length) => (at < length ? letter(row, at) : (row + at) % V));
  const tokens = filled((row, at) => (at === 0 ? V : letter(row, at - 1)));
  return { inputs: { source, tokens, targets, lengths, sourceLengths: lengths }, counted: countOf(targets) };
}

/** Points of the plane by their quarter. */
function quarters({ rows }: Rows): HostBatch {
  const points = rows.flatMap((row) => [...uniform(row, 2)]);
  const labels = i32([rows.length], (i) => 2 * Number(points[2 * i]! > 0) + Number(points[2 * i + 1]! > 0));
  const x = { data: Float32Array.from(points), shape: [rows.length, 2] };
  return { inputs: { x, labels }, counted: rows.length };
}

const countOf = ({ data }: HostInput): number => data.filter((target) => target !== IGNORED).length;

/** A model of one's own, over features. */
class Classifier extends Module implements Model<{ readonly x: Tensor; readonly labels: Tensor }> {
  readonly #hidden = this.child('hidden', new Linear(2, 8));
  readonly #out = this.child('out', new Linear(8, 4));

  loss({ x, labels }: { readonly x: Tensor; readonly labels: Tensor }, { reduction = 'mean' }: LossOptions = {}): Loss {
    return scope(() => ({
      loss: crossEntropy(this.#out.forward(tanh(this.#hidden.forward(x))), labels, { reduction }),
    }));
  }
}

const kinds: readonly [string, () => Model<never>, (rows: Rows) => HostBatch][] = [
  ['an encoder with hidden tokens', () => new Transformer(readConfig({ ...small, kind: 'encoder' })), masked],
  ['an encoder–decoder', () => new EncoderDecoder(readConfig({ ...small, kind: 'encoder-decoder' })), copied],
  ['a model of features', () => new Classifier(), quarters],
];

const from = (batches: (step: number) => HostBatch): BatchSource & { readonly windows: number } => ({
  batchSize: B,
  length: L,
  windows: 4 * B,
  batch: batches,
  startsAnew: () => true,
});
const rowsAt = (step: number): Rows => ({ rows: Array.from({ length: B }, (_, row) => step * B + row) });

const weightsOf = async (model: Model<never>): Promise<Float32Array> => {
  const all = await Promise.all([...model.stateDict().values()].map((one) => one.data()));
  return Float32Array.from(all.flatMap((one) => [...one]));
};

onEveryDevice((on) => {
  const made = (model: Model<never>, options: Pick<TrainerOptions, 'batches'> & Partial<TrainerOptions>): Trainer =>
    new Trainer({
      device: on.device,
      model: model.initialise({ device: on.device, seed: 3 }),
      optimiser: (parameters) => adamW(parameters),
      schedule: constantRate(0.02),
      ...options,
    });

  describe.each(kinds)('%s', (_, create, batchOf) => {
    const batches = from((step) => batchOf(rowsAt(step % 4)));

    test('learns, and is evaluated', async () => {
      const model = create();
      const trainer = made(model, { batches });
      const first = await evaluate({ device: on.device, model, batches });
      for (let step = 0; step < 60; step++) await trainer.step();
      const last = await evaluate({ device: on.device, model, batches });
      expect(last.loss).toBeLessThan(first.loss / 2);
      expect(last.tokens).toBe([0, 1, 2, 3].reduce((sum, step) => sum + batchOf(rowsAt(step)).counted, 0));
      trainer.dispose();
      model.dispose();
    });

    test('two batches of unequal counts are one', async () => {
      const plain = { optimiser: sgd, schedule: constantRate(1) };
      const moved = async (own: (step: number) => HostBatch, accumulate: number): Promise<Float32Array> => {
        const model = create();
        const trainer = made(model, { ...plain, batches: from(own), accumulate });
        const before = await weightsOf(model);
        const { tokens } = await trainer.step();
        expect(tokens).toBe(batchOf(rowsAt(0)).counted);
        const after = await weightsOf(model);
        trainer.dispose();
        model.dispose();
        return after.map((one, i) => one - before[i]!);
      };
      const whole = await moved(() => batchOf(rowsAt(0)), 1);
      const parts = [{ rows: [0] }, { rows: [1, 2, 3] }];
      expect(batchOf(parts[0]!).counted).not.toBe(batchOf(parts[1]!).counted);
      const apart = await moved((step) => batchOf(parts[step]!), 2);
      const largest = Math.max(...whole.map(Math.abs));
      expect(largest).toBeGreaterThan(0.01);
      // sums of at most as many terms as there are tokens, and weights of about 1 that the difference was taken of
      expectClose('gradient', apart, whole, { budget: (B * L * largest + 4) * 2 ** -23 });
    });

    test('goes on with the same bits', async () => {
      const model = create();
      const trainer = made(model, { batches, accumulate: 2 });
      await trainer.step();
      const folder = join(temporaryFolder(), 'checkpoint');
      await saveCheckpoint(folder, trainer.content());
      await trainer.step();
      const want = await weightsOf(model);
      const saved = await loadCheckpoint(folder);
      await trainer.load(saved);
      await saved.tensors.close();
      await trainer.step();
      expectSameBits('weights', await weightsOf(model), want);
      trainer.dispose();
      model.dispose();
    });
  });

  test.each<[string, unknown]>([
    ['inputs', { inputs: { x: 1 }, counted: 1 }],
    ['inputs', { inputs: [], counted: 1 }],
    ['counted', { inputs: {} }],
    ['counted', { inputs: {}, counted: NaN }],
    ['counted', { inputs: {}, counted: -1 }],
    ['targets is missing', { inputs: { tokens: i32([1, 2], () => 0) }, counted: 1 }],
    ['lengths', { inputs: { ...masked(rowsAt(0)).inputs, lengths: i32([B], () => 1) }, counted: 1 }],
    ['labels', { inputs: { ...masked(rowsAt(0)).inputs, labels: [1] }, counted: 1 }],
  ])('a batch that is none is refused: %s', async (named, batch) => {
    const model = kinds[0]![1]();
    const trainer = made(model, { batches: from(() => batch as HostBatch) });
    const before = await weightsOf(model);
    await expect(trainer.step()).rejects.toThrow(OptionError);
    await expect(trainer.step()).rejects.toThrow(named);
    expect(trainer.steps).toBe(0);
    expectSameBits('weights', await weightsOf(model), before);
    trainer.dispose();
    model.dispose();
  });
});

onEveryDevice((on) => {
  test('the mean of tensors that somebody else holds too', async () => {
    const means = new Means<string>();
    const make = (...values: number[]) => tensor(Float32Array.from(values), [values.length], { device: on.device });
    const held = make(1, 2);
    means.add([['x', detach(held)]]);
    means.add([['x', make(3, 6)]]);
    const mean = means.mean().get('x')!;
    expect([...(await mean.data())]).toEqual([2, 4]);
    expect([...(await held.data())]).toEqual([1, 2]);
    mean.dispose();
    held.dispose();
  });
});
