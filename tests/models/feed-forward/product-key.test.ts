import { expect, test } from 'vitest';
import { createModel, generate, openSession, readConfig, type Transformer } from '../../../src/models/index.js';
import { adafactor, adamW, constantRate, Trainer, type TrainerOptions } from '../../../src/train/index.js';
import type { HostBatch } from '../../../src/train/micro-batch.js';
import type { NamedTensors } from '../../../src/train/optimisers/index.js';
import { disposeAll, scope } from '../../../src/tensor/index.js';
import type { Matrix } from '../../oracles/graph.js';
import { productKeys } from '../../oracles/product-key.js';
import { expectClose, expectSameBits } from '../../support/compare.js';
import { onEveryDevice } from '../../support/devices.js';
import { affine, normalised } from '../../nn/formulas.js';
import { fill } from '../../nn/check.js';
import { checkModel, tokensOf } from '../check.js';
import { ModelOracle } from '../oracle.js';

const options = { keys: 4, heads: 2, knn: 3, keyDim: 4 };
const small = {
  vocabulary: 10,
  width: 8,
  heads: 2,
  length: 8,
  layers: 2,
  feedForward: { name: 'product-key', options },
};
const tokens = [3, 1, 4, 1, 5, 9, 2, 6];
const targets = [...tokens.slice(1), 5];

/** A model whose feed-forward layers are memories. */
class MemoryOracle extends ModelOracle {
  override feedForward(layer: number, x: Matrix): Matrix {
    const { g } = this;
    const p = (name: string): Matrix => this.parameter(`${this.at(layer)}.feedForward.${name}`);
    const q = affine(g, x, p('query.weight'), p('query.bias'));
    const half = options.keyDim / 2;
    const normed = Array.from({ length: 2 * options.heads }, (_, at) => {
      const own = normalised(g, g.columns(q, at * half, (at + 1) * half), true, 1e-5);
      return g.add(g.mul(own, p('norm.weight')), p('norm.bias'));
    });
    return productKeys(g, g.concatColumns(normed), p('keys'), p('values'), options);
  }
}

onEveryDevice((on) => {
  test.each(['plain', 'checkpointed', 'reversible'])(
    'residual %s: the loss and all gradients are those of the formula',
    async (residual) => {
      const model = createModel(readConfig({ ...small, residual })) as Transformer;
      await checkModel(on.device, {
        name: residual,
        module: model,
        weights: [1],
        run: () => [model.loss({ tokens: tokensOf(on.device, tokens), targets: tokensOf(on.device, targets) }).loss],
        oracle: (g, parameter) => [new MemoryOracle(g, model.config, parameter).loss(tokens, targets)],
      });
      model.dispose();
    },
  );

  /** A model of a memory of many values, of which a step reads few. */
  const many = { ...small, feedForward: { name: 'product-key', options: { ...options, keys: 64 } } };

  const batchOf = (rows: readonly (readonly number[])[]): HostBatch => {
    const ints = (change: (token: number) => number) => ({
      data: Int32Array.from(rows.flat(), change),
      shape: [rows.length, 8],
    });
    return { inputs: { tokens: ints((x) => x), targets: ints((x) => (3 * x + 1) % 10) }, counted: 8 * rows.length };
  };
  const rows = [tokens, [8, 8, 7, 0, 2, 5, 1, 3]];

  const trainerOf = (
    config: object,
    batch: (step: number) => HostBatch,
    more: Partial<TrainerOptions> = {},
    optimiser: (parameters: NamedTensors) => ReturnType<typeof adamW> = (parameters) => adamW(parameters),
  ) => {
    const model = createModel(readConfig({ ...many, ...config })) as Transformer;
    model.initialise({ device: on.device, seed: 3 });
    const trainer = new Trainer({
      device: on.device,
      model,
      optimiser,
      schedule: constantRate(0.01),
      batches: { batchSize: 1, length: 8, batch, startsAnew: () => true },
      clip: 1,
      ...more,
    });
    const dispose = (): void => {
      trainer.dispose();
      model.dispose();
    };
    return { model, trainer, dispose };
  };
  const valuesOf = async (model: Transformer) =>
    Promise.all([0, 1].map((layer) => model.stateDict().get(`stack.layers.${layer}.feedForward.values`)!.data()));

  test.each(['plain', 'checkpointed', 'reversible'])(
    'residual %s: a step moves the values that it read',
    async (residual) => {
      const { model, trainer, dispose } = trainerOf({ residual }, () => batchOf([tokens]));
      const before = await valuesOf(model);
      await trainer.step();
      const after = await valuesOf(model);
      before.forEach((own, layer) => {
        const moved = Array.from({ length: 64 ** 2 }, (_, row) => row).filter((row) =>
          [0, 1, 2, 3, 4, 5, 6, 7].some((c) => own[8 * row + c] !== after[layer]![8 * row + c]),
        );
        // decay moves no other row either
        expect(moved.length).toBeGreaterThan(options.knn);
        expect(moved.length).toBeLessThanOrEqual(8 * options.heads * options.knn);
      });
      dispose();
    },
  );

  test('the bytes of a step do not grow with the memory', async () => {
    const bytes = [];
    for (const keys of [32, 128]) {
      const feedForward = { name: 'product-key', options: { ...options, keys } };
      const { trainer, dispose } = trainerOf({ feedForward }, () => batchOf([tokens]));
      const before = on.device.counters.bytesMoved;
      await trainer.step();
      bytes.push(on.device.counters.bytesMoved - before);
      dispose();
    }
    // keys are read whole: 4 · keys · keyDim/2 numbers a layer, some dozen times; what is said of the usage is of one number a value, seven
    // times; the values themselves are half a megabyte each time
    const usage = 2 * 7 * 4 * (128 ** 2 - 32 ** 2);
    expect(bytes[1]! - bytes[0]!).toBeLessThan(2 * 16 * 4 * 96 * (4 * 2 + 2 * 8 * 4) + usage);
  });

  test('two batches of a step are one of both', async () => {
    const together = trainerOf({}, () => batchOf(rows));
    const apart = trainerOf({}, (step) => batchOf([rows[step % 2]!]), { accumulate: 2 });
    for (let step = 0; step < 3; step++) {
      const [one, two] = [await together.trainer.step(), await apart.trainer.step()];
      expectClose('loss', [two.loss], [one.loss], { budget: 4e-6 });
      expectClose('norm', [two.gradientNorm], [one.gradientNorm], { budget: 1e-5 * one.gradientNorm });
    }
    const [want, got] = [await valuesOf(together.model), await valuesOf(apart.model)];
    // Adam divides by the root of tiny squares: rates of 0.01, each step off by rounding
    want.forEach((one, layer) => expectClose('values', got[layer]!, one, { budget: 1e-3 }));
    together.dispose();
    apart.dispose();
  });

  test('adafactor keeps means over all values, so it takes them with sparse false', async () => {
    const feedForward = { name: 'product-key', options: { ...options, keys: 16, sparse: false } };
    const adafactors = (parameters: NamedTensors) => adafactor(parameters);
    const whole = trainerOf({ feedForward }, () => batchOf(rows), {}, adafactors);
    const before = (await valuesOf(whole.model))[0]!;
    await whole.trainer.step();
    expect((await valuesOf(whole.model))[0]!.some((value, i) => value !== before[i])).toBe(true);
    whole.dispose();
    const some = trainerOf({}, () => batchOf(rows), {}, adafactors);
    await expect(some.trainer.step()).rejects.toThrow(
      'gradients of stack.layers.0.feedForward.values, stack.layers.1.feedForward.values are of the rows that were read, and adafactor keeps means over all rows; take adamW, sgd or lion, or layers with { sparse: false }.',
    );
    some.dispose();
  });

  test('generates, and a later token changes nothing before it', async () => {
    const model = createModel(readConfig(small)) as Transformer;
    fill(model, on.device, 5);
    const session = openSession(model, { maxLength: 8 });
    const text = [];
    for await (const token of generate(session, { prompt: [1, 2], tokens: 5, seed: 1 })) text.push(token);
    expect(text.length).toBe(5);
    session.dispose();
    const logits = async (list: readonly number[]) => {
      const out = scope(() => model.logits(tokensOf(on.device, list)));
      const data = (await out.data()).slice(0, 70);
      out.dispose();
      return data;
    };
    expectSameBits('before', await logits([...tokens.slice(0, 7), 0]), await logits(tokens));
    model.dispose();
  });

  test('a norm of the batch is for encoders', () => {
    const norm = { name: 'product-key', options: { ...options, norm: 'batch' } };
    expect(() => readConfig({ ...small, feedForward: norm })).toThrow('take layer or past');
    const model = createModel(readConfig({ ...small, kind: 'encoder', feedForward: norm })) as Transformer;
    fill(model, on.device, 5);
    model.train({ seed: 1, step: 1 });
    const given = scope(() =>
      model.loss({ tokens: tokensOf(on.device, tokens), targets: tokensOf(on.device, targets) }),
    );
    expect([...given.updates!.keys()].map((one) => one.path())).toEqual(
      [0, 1].flatMap((layer) => ['mean', 'variance'].map((name) => `stack.layers.${layer}.feedForward.norm.${name}`)),
    );
    disposeAll([given.loss, given.statistics, given.updates]);
    model.dispose();
  });
});
