import { expect, test } from 'vitest';
import { constantOf, drawn } from '../../src/attention/index.js';
import { openSession, readConfig, Transformer, type LanguageModel } from '../../src/models/index.js';
import { document } from '../../src/masks/index.js';
import { defineMixer } from '../../src/nn/index.js';
import { registerMixer } from '../../src/nn/mixers/registry.js';
import { add, cumulativeSum, mean, mul, reshape, square, sub } from '../../src/ops/index.js';
import { disposeAll, gradients, noGradient, scope, tensor, type Tensor } from '../../src/tensor/index.js';
import { expectSameBits } from '../support/compare.js';
import { onEveryDevice } from '../support/devices.js';
import { fill } from '../nn/check.js';
import { fused, tokensOf as learnt } from '../oracles/token-learner.js';
import type { Matrix } from '../oracles/graph.js';
import { checkModel, tokensOf } from './check.js';
import { ModelOracle } from './oracle.js';

const paper = { authors: 'Nobody', title: 'None', year: 2026 };

const pairs = (x: Tensor): Tensor => mean(reshape(x, [x.shape[0]!, x.shape[1]! / 2, 2, x.shape[2]!]), { axes: [2] });
const halving = defineMixer({
  name: 'halving',
  summary: 'The mean of two rows.',
  paper,
  formula: '(x_2i + x_2i+1) / 2',
  options: {},
  supports: { causal: false, padding: true },
  resize: (rows) => Math.ceil(rows / 2),
  base: (stream) => pairs(stream),
  forward: ({ x }) => pairs(x),
});

/** The sum of the rows so far, without a state. */
const soFar = defineMixer({
  name: 'so-far',
  summary: 'The sum of the rows so far.',
  paper,
  formula: 'Σ_(j ≤ i) x_j',
  options: {},
  supports: { causal: true, padding: true },
  whole: true,
  forward: ({ x }) => cumulativeSum(x, { axis: 1 }),
});

/** Each row and the mean so far of all batches: a loss, and a value that is kept with the model. */
const centred = defineMixer({
  name: 'centred',
  summary: 'What is left without a moving centre.',
  paper,
  formula: 'x − c',
  options: {},
  supports: { causal: true, padding: true },
  parameters: ({ features }) => ({ centre: drawn([features], constantOf(0)) }),
  forward: ({ x, parameters: { centre }, losses, state }) => ({
    stream: add(sub(x, centre), state['last'] ? mul(state['last'], 0.5) : 0),
    ...(losses && { losses: { distance: mean(square(sub(x, centre))) } }),
    state: { last: x },
    updates: { centre: add(mul(centre, 0.9), mul(mean(x, { axes: [0, 1] }), 0.1)) },
  }),
});

const small = { vocabulary: 10, width: 8, heads: 2, length: 8, feedForward: { hidden: 12 } };

/** Eight tokens become three, and eight again. */
const there = {
  kind: 'encoder',
  layers: [
    {},
    { mixer: { name: 'token-learner', options: { tokens: 3, hidden: 5 } } },
    {},
    { mixer: { name: 'token-fuser', options: { tokens: 3, hidden: 5 } } },
  ],
};

onEveryDevice((on) => {
  const tokens = [3, 1, 4, 1, 5, 9, 2, 6];
  const modelOf = (config: object): Transformer => {
    const model = new Transformer(readConfig({ ...small, ...config }));
    fill(model, on.device, 5);
    return model;
  };
  const hiddenOf = async (model: Transformer, rows: readonly number[][], lengths?: readonly number[]) => {
    const input = Int32Array.from(rows.flat());
    const out = scope(() =>
      noGradient(() => model.hidden(tensor(input, [rows.length, rows[0]!.length], { device: on.device }), { lengths })),
    );
    const data = await out.data();
    const { shape } = out;
    out.dispose();
    return { data, shape };
  };

  test('fnet and synthesizer instead of attention: all is learned that there is, whatever the residuals', async () => {
    for (const residual of ['plain', 'checkpointed', 'reversible']) {
      const model = modelOf({
        kind: 'encoder',
        residual,
        layers: [{ mixer: 'fnet' }, { mixer: 'synthesizer' }, { mechanism: 'flash' }],
      });
      const names = [...model.namedParameters().keys()];
      expect(names.some((name) => name.startsWith('stack.layers.0.mixer'))).toBe(false);
      expect(names).toContain('stack.layers.1.mixer.projection');
      expect(names).toContain('stack.layers.2.attention.qkv.weight');
      const found = scope(() => {
        const { loss } = model.loss({ tokens: tokensOf(on.device, tokens), targets: tokensOf(on.device, tokens) });
        return gradients([loss], [...model.learnedTensors().values()]);
      });
      for (const one of found) expect((await one.data()).some((value) => value !== 0)).toBe(true);
      disposeAll(found);
      model.dispose();
    }
  });

  test('a layer that halves the rows: what follows has half of them, and padding is padding there too', async () => {
    const forget = registerMixer(halving);
    const config = { kind: 'encoder', position: 'none', layers: [{}, { mixer: 'halving' }, {}] };
    const model = modelOf(config);
    const both = await hiddenOf(model, [tokens, [...tokens.slice(0, 6), 7, 7]], [8, 6]);
    expect(both.shape).toEqual([2, 4, 8]);
    const alone = await hiddenOf(model, [tokens.slice(0, 6)]);
    expect(alone.shape).toEqual([1, 3, 8]);
    alone.data.forEach((value, i) => expect(Math.abs(both.data[32 + i]! - value)).toBeLessThan(1e-5));
    const whole = await hiddenOf(model, [tokens]);
    whole.data.forEach((value, i) => expect(Math.abs(both.data[i]! - value)).toBeLessThan(1e-5));
    const grouped = modelOf({ ...config, residual: 'checkpointed' });
    expectSameBits('hidden', (await hiddenOf(grouped, [tokens])).data, whole.data);
    scope(() => {
      expect(() => model.loss({ tokens: tokensOf(on.device, tokens), targets: tokensOf(on.device, tokens) })).toThrow(
        'the layers give 4 rows, so targets must be [B,4]; got [1,8].',
      );
      const { loss } = model.loss({
        tokens: tokensOf(on.device, tokens),
        targets: tokensOf(on.device, tokens.slice(0, 4)),
      });
      gradients([loss], [...model.learnedTensors().values()]);
      const batch = { tokens: tokensOf(on.device, tokens), targets: tokensOf(on.device, tokens) };
      expect(() => model.loss({ ...batch, mask: document(tokens) })).toThrow(
        'has other rows than those that mask names',
      );
    });
    expect(() => readConfig({ ...small, ...config, kind: 'decoder' })).toThrow('has no causal form');
    expect(() => readConfig({ ...small, ...config, residual: 'reversible' })).toThrow(
      'residual "reversible" is not for it',
    );
    model.dispose();
    grouped.dispose();
    forget();
    expect(() => readConfig({ ...small, ...config })).toThrow('unknown mixer "halving"');
  });

  test.each(['plain', 'checkpointed'])(
    'fewer tokens, and back, with residual %s: the loss and all gradients are those of the formula',
    async (residual) => {
      const model = new Transformer(readConfig({ ...small, ...there, residual }));
      await checkModel(on.device, {
        name: residual,
        module: model,
        weights: [1],
        run: () => [model.loss({ tokens: tokensOf(on.device, tokens), targets: tokensOf(on.device, tokens) }).loss],
        oracle: (g, parameter) => {
          const oracle = new ModelOracle(g, model.config, parameter);
          const of = (layer: number) => (name: string) => parameter(`${oracle.at(layer)}.mixer.${name}`);
          const normed = (layer: number, x: Matrix): Matrix =>
            oracle.norm(`${oracle.at(layer)}.attentionResidual.norm`, x);
          const fed = (layer: number, x: Matrix): Matrix =>
            oracle.residual(`${oracle.at(layer)}.feedForwardResidual.norm`, x, (y) => oracle.feedForward(layer, y));
          const attended = (layer: number, x: Matrix): Matrix =>
            oracle.residual(`${oracle.at(layer)}.attentionResidual.norm`, x, (y) => oracle.attention(layer, y));
          const all = fed(0, attended(0, oracle.embedded(tokens)));
          const few = fed(1, learnt(g, normed(1, all), all, of(1)));
          const worked = fed(2, attended(2, few));
          const back = fed(3, g.add(all, fused(g, normed(3, worked), all, of(3))));
          return [oracle.lossAt(oracle.finished(back), tokens)];
        },
      });
      model.dispose();
    },
  );

  test('after rows came back, padding is padding and a mask names rows as before', async () => {
    const model = modelOf(there);
    const both = await hiddenOf(model, [tokens, [...tokens.slice(0, 6), 7, 7]], [8, 6]);
    const alone = await hiddenOf(model, [tokens.slice(0, 6)]);
    expect([both.shape, alone.shape]).toEqual([
      [2, 8, 8],
      [1, 6, 8],
    ]);
    alone.data.forEach((value, i) => expect(Math.abs(both.data[64 + i]! - value)).toBeLessThan(1e-5));
    scope(() => {
      const batch = { tokens: tokensOf(on.device, tokens), targets: tokensOf(on.device, tokens) };
      expect(() => model.loss({ ...batch, mask: document(tokens) })).toThrow('mask');
    });
    model.dispose();
  });

  test('losses, states and next values of a layer leave every model', () => {
    const forget = registerMixer(centred);
    for (const residual of ['plain', 'checkpointed', 'reversible']) {
      const model: LanguageModel = modelOf({ residual, layers: [{ mixer: 'centred' }, {}, { mixer: 'centred' }] });
      scope(() => {
        const [x, y] = [tokensOf(on.device, tokens), tokensOf(on.device, tokens)];
        const { losses, state, updates } = model.loss({ tokens: x, targets: y });
        expect(Object.keys(losses!)).toEqual(['distance']);
        expect(Object.keys(state!)).toEqual(['last.0', 'last.2']);
        expect([...updates!.keys()].map((one) => one.path())).toEqual([
          'stack.layers.0.mixer.centre',
          'stack.layers.2.mixer.centre',
        ]);
        expect(noGradient(() => model.loss({ tokens: x, targets: y }, { state })).losses).toBeUndefined();
        for (const name of ['last', 'last.3', '0']) {
          expect(() => model.loss({ tokens: x, targets: y }, { state: { [name]: state!['last.0']! } })).toThrow(
            'of 3 layers',
          );
        }
      });
      model.dispose();
    }
    forget();
  });

  test('one that keeps no state goes on with a text that is computed whole', async () => {
    const forget = registerMixer(soFar);
    const model = modelOf({ kind: 'decoder', layers: [{ mixer: 'so-far' }, { position: 'rope' }] });
    const session = openSession(model, { maxLength: tokens.length });
    session.step(tokens.slice(0, 3)).dispose();
    const got = session.step(tokens.slice(3));
    const want = scope(() => noGradient(() => model.logits(tokensOf(on.device, tokens))));
    const all = (await want.data()) as Float32Array;
    expectSameBits('logits', await got.data(), all.slice(-got.size));
    disposeAll([got, want]);
    session.dispose();
    model.dispose();
    forget();
  });

  test('a session says which layer does not decode', () => {
    const model = modelOf({ layers: [{}, { mixer: 'synthesizer' }] });
    expect(() => openSession(model, { maxLength: 8 })).toThrow(
      'session: mixer synthesizer of layer 1 does not decode step by step',
    );
    model.dispose();
  });
});

test('a layer that gives rows back needs one that took them, and as many as that gave', () => {
  const layers = (...mixers: object[]): object => ({
    ...small,
    kind: 'encoder',
    layers: mixers.map((mixer) => ({ mixer })),
  });
  const few = (name: string, tokens: number): object => ({ name, options: { tokens } });
  expect(() => readConfig(layers(few('token-fuser', 8)))).toThrow(
    'model configuration: layer 0: gives back the rows of a layer before that gave fewer, and there is none',
  );
  expect(() => readConfig(layers(few('token-learner', 3), few('token-fuser', 4)))).toThrow(
    'layer 1: takes 4 rows; the layers before give 3.',
  );
  expect(() => readConfig({ ...small, mixer: 'token-fuser' })).toThrow('token-fuser: has no causal form');
  expect(() => readConfig({ ...small, ...there, residual: 'reversible' })).toThrow(
    'mixer token-learner changes the number of rows, so residual "reversible" is not for it',
  );
  expect(() => readConfig({ ...small, ...there, kind: 'encoder-decoder' })).toThrow('gives 3 rows for 8');
});

test('in JSON: a name or an object, and a layer that names a mechanism is attention', () => {
  const config = readConfig({ ...small, kind: 'encoder', mixer: 'fnet', layers: [{}, { mechanism: 'flash' }] });
  expect(config.mixer).toEqual({ name: 'fnet', options: {} });
  expect(config.pattern!.map(({ mixer }) => mixer?.name)).toEqual(['fnet', undefined]);
  expect(readConfig(JSON.parse(JSON.stringify(config)))).toEqual(config);
  expect('mixer' in readConfig(small)).toBe(false);
  expect(() => readConfig({ ...small, mixer: 'fnet' })).toThrow('fnet: has no causal form');
  expect(() => readConfig({ ...small, kind: 'transformer-xl', mixer: 'synthesizer' })).toThrow('attends to its memory');
});
