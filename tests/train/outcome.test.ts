import { expect, test } from 'vitest';
import { constantOf, drawn } from '../../src/attention/index.js';
import { createModel, readConfig } from '../../src/models/index.js';
import { defineMixer } from '../../src/nn/index.js';
import { registerMixer } from '../../src/nn/mixers/registry.js';
import { add, mean, mul, square, sub } from '../../src/ops/index.js';
import { scope } from '../../src/tensor/index.js';
import { constantRate, sgd, Trainer } from '../../src/train/index.js';
import { expectClose } from '../support/compare.js';
import { onEveryDevice } from '../support/devices.js';

/** A loss, a state of the text, and a moving centre that is kept with the model. */
const centred = defineMixer({
  name: 'centred',
  summary: 'What is left without a moving centre.',
  paper: { authors: 'Nobody', title: 'None', year: 2026 },
  formula: 'x − c',
  options: {},
  supports: { causal: true, padding: true },
  parameters: ({ features }) => ({ centre: drawn([features], constantOf(0.25)) }),
  forward: ({ x, parameters: { centre }, losses, state }) => ({
    stream: add(sub(x, centre), state['last'] ? mul(state['last'], 0.5) : 0),
    ...(losses && { losses: { distance: mean(square(sub(x, centre))) } }),
    state: { last: x },
    updates: { centre: add(mul(centre, 0.5), mul(mean(x, { axes: [0, 1] }), 0.5)) },
  }),
});

const text = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9];
const windows = [text.slice(0, 7), text.slice(7, 14)];

onEveryDevice((on) => {
  const made = (accumulate: number, rate: number) => {
    const forget = registerMixer(centred);
    const config = readConfig({ vocabulary: 10, width: 8, heads: 2, length: 6, layers: [{ mixer: 'centred' }, {}] });
    const model = createModel(config).initialise({ device: on.device, seed: 3 });
    const trainer = new Trainer({
      device: on.device,
      model,
      optimiser: (parameters) => sgd(parameters),
      schedule: constantRate(rate),
      batches: {
        batchSize: 1,
        length: 6,
        batch: (step) => Int32Array.from(windows[step % 2]!),
        startsAnew: () => true,
      },
      accumulate,
    });
    const centre = model.namedParameters().get('stack.layers.0.mixer.centre')!;
    const end = (): void => {
      trainer.dispose();
      model.dispose();
      forget();
    };
    return { model, trainer, centre, end };
  };

  test('a step names the losses of layers, and sets what they update; two batches as one: the mean of both', async () => {
    const centres: number[][] = [];
    const losses: number[] = [];
    for (const first of [0, 1]) {
      const { trainer, centre, end } = made(1, 1e-30);
      // at this rate no parameter moves, so the second step sees what the first saw but for the centre
      if (first === 1) {
        await trainer.step();
        scope(() => centre.set(add(mul(centre.value, 0), 0.25)));
      }
      const result = await trainer.step();
      expect(Object.keys(result.losses!)).toEqual(['distance']);
      losses.push(result.losses!['distance']!);
      centres.push([...(await centre.value.data())]);
      expect(centres.at(-1)!.some((value) => value !== 0.25)).toBe(true);
      end();
    }
    const { trainer, centre, end } = made(2, 1e-30);
    const both = await trainer.step();
    expect(Math.abs(both.losses!['distance']! - (losses[0]! + losses[1]!) / 2)).toBeLessThan(1e-6);
    const want = Float64Array.from(centres[0]!, (value, i) => (value + centres[1]![i]!) / 2);
    expectClose('centre', await centre.value.data(), want, { budget: 2 ** -22 });
    end();
  });

  test('the loss of a layer moves the layers below it', async () => {
    const { trainer, model, end } = made(1, 0.1);
    const before = await model.stateDict().get('ends.embedding.weight')!.data();
    const first = await trainer.step();
    await trainer.step();
    const third = await trainer.step();
    expect(third.losses!['distance']!).not.toBe(first.losses!['distance']!);
    expect((await model.stateDict().get('ends.embedding.weight')!.data()).some((value, i) => value !== before[i])).toBe(
      true,
    );
    end();
  });

  test('a checkpoint keeps centre and state', async () => {
    const { trainer, end } = made(1, 0.1);
    await trainer.step();
    const names = Object.keys(trainer.content().tensors);
    expect(names).toContain('model.stack.layers.0.mixer.centre');
    expect(names).toContain('memory.last.0');
    end();
  });

  test('a refused step sets nothing', async () => {
    const { trainer, centre, end } = made(1, 1e38);
    await trainer.step();
    const before = [...(await centre.value.data())];
    await expect(trainer.step()).rejects.toThrow('is not finite');
    expect([...(await centre.value.data())]).toEqual(before);
    end();
  });
});
