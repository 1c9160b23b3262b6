import { expect, test } from 'vitest';
import { registerMechanism } from '../../src/attention/index.js';
import { createModel, readConfig, type Transformer } from '../../src/models/index.js';
import type { Block, Outcome } from '../../src/nn/index.js';
import { checkpointedOutcome } from '../../src/nn/checkpointed.js';
import { besideOf } from '../../src/nn/outcome.js';
import { reversibleOutcome } from '../../src/nn/reversible.js';
import { add } from '../../src/ops/index.js';
import { disposeAll, gradients, scope, tensor, type Tensor } from '../../src/tensor/index.js';
import { constantRate, sgd, Trainer } from '../../src/train/index.js';
import { centred } from '../attention/centred.js';
import { expectClose, expectSameBits } from '../support/compare.js';
import { onEveryDevice } from '../support/devices.js';
import { uniform } from '../support/random.js';

const config = { vocabulary: 10, width: 8, heads: 2, length: 6, layers: 2, mechanism: 'centred' };
const text = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9];
const kinds = ['plain', { kind: 'checkpointed', every: 1 }, 'reversible'] as const;

onEveryDevice((on) => {
  const made = (residual: (typeof kinds)[number]) => {
    const forget = registerMechanism(centred);
    const model = createModel(readConfig({ ...config, residual })) as Transformer;
    model.initialise({ device: on.device, seed: 3 }).train({ seed: 1, step: 1 });
    const end = (): void => {
      model.dispose();
      forget();
    };
    return { model, end };
  };

  /** What layers give for x, whatever of them the tape keeps, and the gradients. */
  const numbersOf = async (way: (layers: readonly Block[], x: Tensor) => Outcome) => {
    const { model, end } = made('plain');
    const found = scope(() => {
      const x = tensor(uniform(1, 48), [1, 6, 8], { device: on.device, requiresGradient: true });
      const { stream, losses, state, updates } = way(model.stack.layers, x);
      const leaves = [x, ...model.stack.layers.flatMap((layer) => [...layer.learnedTensors().values()])];
      const cotangents = [
        tensor(uniform(2, 48), [1, 6, 8], { device: on.device }),
        tensor([0.7], [], { device: on.device }),
      ];
      const outputs = [stream, losses!['distance']!];
      return [...outputs, ...Object.values(state!), ...updates!.values(), ...gradients(outputs, leaves, cotangents)];
    });
    const numbers = await Promise.all(found.map((one) => one.data()));
    disposeAll(found);
    end();
    return numbers;
  };
  const context = { losses: true };
  const placed = (i: number, { state, ...rest }: Outcome): Outcome => ({
    ...rest,
    ...(state && { state: { [`last.${i}`]: state['last']! } }),
  });
  const whole = (layers: readonly Block[]) =>
    layers.map((layer, i) => ({
      modules: [layer],
      forward: (rows: Tensor) => placed(i, layer.forward(rows, context)),
    }));
  const halves = (layers: readonly Block[]) =>
    layers.map((layer, i) => ({
      modules: [layer],
      f: (rows: Tensor) => placed(i, layer.mix(rows, context)),
      g: (rows: Tensor) => layer.feed(rows, context),
    }));

  test('the noise of a step and the centre it began with come again where layers are computed again', async () => {
    const want = await numbersOf((layers, x) => checkpointedOutcome(whole(layers), 2, x));
    const got = await numbersOf((layers, x) => checkpointedOutcome(whole(layers), 1, x));
    want.forEach((one, i) => expectSameBits(`result ${i}`, got[i]!, one));
  });

  test('in reversible layers too, up to the rounding of the streams', async () => {
    const want = await numbersOf((layers, x) => {
      let [a, b] = [x, x];
      const beside: Outcome[] = [];
      for (const { f, g } of halves(layers)) {
        beside.push(f(b));
        a = add(a, beside.at(-1)!.stream);
        b = add(b, g(a).stream);
      }
      return { ...besideOf(beside), stream: add(a, b) };
    });
    const got = await numbersOf((layers, x) => {
      const { streams, beside } = reversibleOutcome(halves(layers), x, x);
      return { ...beside, stream: add(...streams) };
    });
    want.forEach((one, i) =>
      expectClose(`result ${i}`, got[i]!, one, { budget: 2 ** -20 * Math.max(1, ...one.map(Math.abs)) }),
    );
  });

  test.each(kinds)(
    '%j layers: training names its loss, moves its centre once a step, and keeps all in a checkpoint',
    async (residual) => {
      const { model, end } = made(residual);
      const trainer = new Trainer({
        device: on.device,
        model,
        optimiser: (parameters) => sgd(parameters),
        schedule: constantRate(1e-30),
        batches: {
          batchSize: 1,
          length: 6,
          batch: (step) => Int32Array.from(text.slice(7 * step, 7 * step + 7)),
          startsAnew: () => false,
        },
      });
      const centres = [0, 1].map((layer) => model.namedParameters().get(`stack.layers.${layer}.attention.centre`)!);
      const moved = scope(() => {
        const tokens = tensor(Int32Array.from(text.slice(0, 6)), [1, 6], { device: on.device });
        model.train({ seed: 0, step: 0 });
        return [...model.run(tokens, context).updates!.values()];
      });
      const step = await trainer.step();
      expect(step.losses!['distance']).toBeGreaterThan(0);
      for (const [i, centre] of centres.entries())
        expectSameBits('centre', await centre.value.data(), await moved[i]!.data());
      expect(Object.keys(trainer.content().tensors)).toEqual(
        expect.arrayContaining(['model.stack.layers.1.attention.centre', 'memory.last.0', 'memory.last.1']),
      );
      await trainer.step();
      model.eval();
      const still = scope(() => model.run(tensor(Int32Array.from(text.slice(0, 6)), [1, 6], { device: on.device })));
      expect([still.updates, still.losses === undefined]).toEqual([undefined, false]);
      disposeAll([moved, still]);
      trainer.dispose();
      end();
    },
  );
});
