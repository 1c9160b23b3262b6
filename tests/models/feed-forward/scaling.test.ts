import { expect, test } from 'vitest';
import { createModel, generate, openSession, readConfig, type Transformer } from '../../../src/models/index.js';
import { adamW, constantRate, Trainer } from '../../../src/train/index.js';
import type { Matrix } from '../../oracles/graph.js';
import { oneOfBlocks } from '../../oracles/one-of-blocks.js';
import { onEveryDevice } from '../../support/devices.js';
import { gumbelNoise } from '../../nn/feed-forward/gumbel.js';
import { checkModel, tokensOf } from '../check.js';
import { ModelOracle } from '../oracle.js';

const options = { block: 4, rank: 3, temperature: 0.2, quantProb: 1 };
const small = {
  vocabulary: 10,
  width: 8,
  heads: 2,
  length: 8,
  layers: 2,
  feedForward: { name: 'scaling', hidden: 12, options },
};
const tokens = [3, 1, 4, 1, 5, 9, 2, 6];
const targets = [...tokens.slice(1), 5];
const step = { seed: 3, step: 2 };

/** A model whose feed-forward layers have one unit of each block, in training. */
class BlocksOracle extends ModelOracle {
  noise: readonly (readonly number[])[] = [];

  override feedForward(layer: number, x: Matrix): Matrix {
    const p = (name: string): Matrix => this.parameter(`${this.at(layer)}.feedForward.${name}`);
    const noise = this.noise[layer]!.map((one) => options.temperature * one);
    return oneOfBlocks(this.g, x, p, { block: options.block, mask: 'through', noise });
  }
}

onEveryDevice((on) => {
  test.each(['plain', 'checkpointed', 'reversible'])(
    'residual %s: the loss and all gradients of training are those of the formula',
    async (residual) => {
      const model = createModel(readConfig({ ...small, residual })) as Transformer;
      model.train(step);
      const noise = await Promise.all(
        [0, 1].map((layer) => {
          const purpose = `OneOfBlocks ${step.step} stack.layers.${layer}.feedForward`;
          return gumbelNoise(on.device, [8, 12], { seed: step.seed, purpose });
        }),
      );
      await checkModel(on.device, {
        name: residual,
        module: model,
        weights: [1],
        run: () => [model.loss({ tokens: tokensOf(on.device, tokens), targets: tokensOf(on.device, targets) }).loss],
        oracle: (g, parameter) => {
          const oracle = new BlocksOracle(g, model.config, parameter);
          oracle.noise = noise;
          return [oracle.loss(tokens, targets)];
        },
      });
      model.dispose();
    },
  );

  test('learns, and generates', async () => {
    const model = createModel(readConfig({ ...small, feedForward: { ...small.feedForward, options: { block: 4 } } }));
    model.initialise({ device: on.device, seed: 3 });
    const ints = (numbers: readonly number[]) => ({ data: Int32Array.from(numbers), shape: [1, 8] });
    const batch = { inputs: { tokens: ints(tokens), targets: ints(targets) }, counted: 8 };
    const trainer = new Trainer({
      device: on.device,
      model,
      optimiser: (parameters) => adamW(parameters),
      schedule: constantRate(0.02),
      batches: { batchSize: 1, length: 8, batch: () => batch, startsAnew: () => true },
    });
    const { loss } = await trainer.step();
    for (let i = 0; i < 25; i++) await trainer.step();
    expect((await trainer.step()).loss).toBeLessThan(loss / 2);
    trainer.dispose();
    // of one unit in training it learned to say what it read
    const session = openSession(model, { maxLength: 8 });
    const text = [];
    for await (const token of generate(session, { prompt: [3], tokens: 7, temperature: 0 })) text.push(token);
    expect(text).toHaveLength(7);
    session.dispose();
    model.dispose();
  });

  test('blocks divide the hidden units', () => {
    const feedForward = { ...small.feedForward, hidden: 14 };
    expect(() => readConfig({ ...small, feedForward })).toThrow('block 4 must divide the 14 hidden units');
    expect(() => readConfig({ ...small, feedForward: { ...small.feedForward, gated: true } })).toThrow('gated');
  });
});
