import { expect, test } from 'vitest';
import { openSession, readConfig, Transformer } from '../../src/models/index.js';
import { noGradient, scope, tensor } from '../../src/tensor/index.js';
import { adamW, constantRate, Trainer } from '../../src/train/index.js';
import { expectClose } from '../support/compare.js';
import { onEveryDevice } from '../support/devices.js';
import { fill } from '../nn/check.js';
import { checkModel, tokensOf } from './check.js';
import { ModelOracle } from './oracle.js';

const small = { vocabulary: 10, width: 8, heads: 2, length: 8 };
const turns = {
  layers: [
    { feedForward: { hidden: 12 } },
    { feedForward: { name: 'switch', hidden: 6, options: { experts: 3, balance: 0.5, evaluationCapacity: 3 } } },
    { feedForward: { name: 'mixtral', hidden: 5, options: { experts: 4, balance: 0.25 } } },
  ],
};
const text = [3, 1, 4, 1, 5, 9, 2, 6, 5];

onEveryDevice((on) => {
  test.each(['plain', 'checkpointed', 'reversible'])(
    'dense and sparse layers in turn, residual %s: the loss, that of the routers, and all gradients',
    async (residual) => {
      const config = readConfig({ ...small, ...turns, residual, norm: { kind: 'layer' } });
      const model = new Transformer(config);
      const [inputs, targets] = [text.slice(0, 8), text.slice(1)];
      await checkModel(on.device, {
        name: residual,
        module: model,
        run: () => {
          const { loss, losses, statistics } = model.loss({
            tokens: tokensOf(on.device, inputs),
            targets: tokensOf(on.device, targets),
          });
          expect(Object.keys(statistics!).sort()).toEqual(
            ['dropped.1', 'dropped.2', 'entropy.1', 'entropy.2', 'load.1', 'load.2'].sort(),
          );
          return [loss, losses!['balance']!];
        },
        weights: [1, 0.7],
        oracle: (g, parameter) => {
          const own = new ModelOracle(g, config, parameter, 'stack', true);
          const loss = own.lossAt(own.finished(own.layers(own.embedded(inputs))), targets);
          const [one, two] = [own.balances.get(1)!, own.balances.get(2)!];
          return [loss, g.add(one, two)];
        },
      });
      model.dispose();
    },
  );

  test('a trainer names the losses of routers, and what they say is the mean over the steps since it was asked', async () => {
    const config = readConfig({ ...small, ...turns });
    const model = new Transformer(config).initialise({ device: on.device, seed: 3 });
    const trainer = new Trainer({
      device: on.device,
      model,
      optimiser: (parameters) => adamW(parameters),
      schedule: constantRate(0.01),
      batches: {
        batchSize: 2,
        length: 8,
        batch: (step) => Int32Array.from([...text, ...text].map((token, i) => (token + step + i) % 10)),
        startsAnew: () => true,
      },
      accumulate: 2,
    });
    expect(await trainer.statistics()).toBeUndefined();
    const first = await trainer.step();
    expect(first.losses!['balance']).toBeGreaterThan(0);
    const one = (await trainer.statistics())!;
    expect(one.steps).toBe(1);
    await trainer.step();
    await trainer.step();
    const { steps, values } = (await trainer.statistics())!;
    expect(steps).toBe(2);
    expect(Object.keys(values).sort()).toEqual(Object.keys(one.values).sort());
    const share = (name: string): number => values[name]!.reduce((sum, x) => sum + x, 0);
    expect([values['load.1']!.length, values['load.2']!.length]).toEqual([3, 4]);
    expect(share('load.1')).toBeCloseTo(1, 5);
    expect(values['entropy.2']![0]).toBeGreaterThan(0);
    expect(values['entropy.2']![0]).toBeLessThanOrEqual(Math.log(4) + 1e-6);
    await trainer.step();
    trainer.dispose();
    model.dispose();
  });

  test('a session goes on as the whole text does where every expert has room for all', async () => {
    const model = new Transformer(readConfig({ ...small, ...turns }));
    fill(model, on.device, 5);
    const tokens = text.slice(0, 8);
    const whole = scope(() =>
      noGradient(() => model.logits(tensor(Int32Array.from(tokens), [1, 8], { device: on.device }))),
    );
    const want = await whole.data();
    const session = openSession(model, { maxLength: 8 });
    const last = session.step(tokens.slice(0, 5));
    expectClose('after five', await last.data(), want.slice(40, 50), { budget: 1e-4 });
    const next = session.step([tokens[5]!]);
    expectClose('after six', await next.data(), want.slice(50, 60), { budget: 1e-4 });
    session.dispose();
    for (const one of [whole, last, next]) one.dispose();
    model.dispose();
  });
});

test('what a configuration is refused', () => {
  const read =
    (feedForward: unknown, more: object = {}) =>
    () =>
      readConfig({ ...small, feedForward, ...more });
  expect(read({ name: 'switch', options: { experts: 9 } })).toThrow(
    'switch: experts must be at most the 8 tokens of a group; got 9: take fewer, or longer groups.',
  );
  expect(read({ name: 'switch', options: { experts: 8, minCapacity: 0, capacity: 0.5 } })).toThrow(
    'switch: capacity 0.5 of 8 tokens for 8 experts is less than one token an expert; take 1 or more, or a minCapacity of 1.',
  );
  expect(read({ name: 'mixtral', options: { experts: 3, active: 4 } })).toThrow(
    'mixtral: active must be at most the 3 experts; got 4.',
  );
  expect(read({ name: 'switch', chunk: 4 })).toThrow('feedForward: switch has no use for chunk; leave it out.');
  expect(read({ name: 'gshard', options: { experts: 4, secondPolicy: 'rondom' } })).toThrow('did you mean "random"');
  // the defaults of the papers
  expect(read({ name: 'glam' }, { length: 64 })().feedForward).toMatchObject({ gated: true, activation: 'gelu' });
  expect(read('switch')().feedForward).toMatchObject({ gated: false, activation: 'relu', hidden: 32 });
  expect(read('mixtral')().feedForward).toMatchObject({ gated: true, activation: 'silu' });
});
