import { expect, test } from 'vitest';
import { IGNORED, openSession, readConfig, Transformer } from '../../src/models/index.js';
import { noGradient, scope, type Tensor } from '../../src/tensor/index.js';
import type { Graph, Matrix } from '../oracles/graph.js';
import { eachOther, lastAsk, latentsAsk, placesAsk } from '../oracles/latents.js';
import { expectClose, expectSameBits } from '../support/compare.js';
import { onEveryDevice } from '../support/devices.js';
import { fill } from '../nn/check.js';
import { checkModel, tokensOf } from './check.js';
import { ModelOracle, type Parameter } from './oracle.js';

const small = { vocabulary: 10, width: 8, heads: 2, length: 7, feedForward: { hidden: 12 } };
const latents = { mixer: { name: 'perceiver', options: { latents: 3, keyDim: 2 } } };
const ar = { ...small, position: 'sinusoidal', layers: [latents, { position: 'rope' }] };
const io = {
  ...small,
  kind: 'encoder',
  position: 'learned',
  layers: [latents, {}, { as: 1 }, { mixer: 'perceiver-output' }],
};
/** Latents narrower than the rows, as published; more of them than tokens. */
const narrow = { width: 6, heads: 2 };
const published = {
  ...small,
  kind: 'encoder',
  position: 'learned',
  bias: true,
  norm: { kind: 'layer', final: false },
  prediction: { bias: true },
  layers: [
    {
      mixer: {
        name: 'perceiver',
        options: { latents: 9, keyDim: 2, valueDim: 3, bias: true, norm: true, every: true },
      },
      sizes: narrow,
    },
    { sizes: { ...narrow, headDim: 2, valueDim: 5 } },
    { as: 1 },
    { mixer: { name: 'perceiver-output', options: { keyDim: 3, valueDim: 4, bias: true } }, sizes: { width: 8 } },
  ],
};
const tokens = [3, 1, 4, 1, 5, 9, 2];
const targets = [1, 4, 1, 5, 9, 2, 6];

/** Layers of which the first asks all rows. */
class LatentOracle extends ModelOracle {
  override layers(x: Matrix): Matrix {
    const { g, causal } = this;
    const fed = (layer: number, rows: Matrix): Matrix =>
      this.residual(`${this.at(layer)}.feedForwardResidual.norm`, rows, (y) => this.of(layer).feedForward(layer, y));
    const mixed = (layer: number, rows: Matrix): Matrix =>
      this.residual(`${this.at(layer)}.attentionResidual.norm`, rows, (y) => this.of(layer).attention(layer, y));
    const own = (layer: number) => (name: string) => this.parameter(`${this.at(layer)}.mixer.${name}`);
    const normed = (layer: number, rows: Matrix): Matrix => this.norm(`${this.at(layer)}.attentionResidual.norm`, rows);
    const given = normed(0, x);
    if (causal) return fed(1, mixed(1, fed(0, lastAsk(g, given, x, own(0), 3))));
    let z = fed(0, latentsAsk(g, given, own(0), 3));
    for (let repeat = 0; repeat < 2; repeat++) z = fed(1, mixed(1, z));
    return fed(3, placesAsk(g, normed(3, z), own(3), x.rows));
  }
}

class PublishedOracle extends ModelOracle {
  override layers(x: Matrix): Matrix {
    const { g } = this;
    const p = (layer: number, part: string) => (name: string) => this.parameter(`${this.at(layer)}.${part}.${name}`);
    const fed = (layer: number, rows: Matrix): Matrix =>
      this.residual(`${this.at(layer)}.feedForwardResidual.norm`, rows, (y) => this.of(layer).feedForward(layer, y));
    const normed = (layer: number, rows: Matrix): Matrix => this.norm(`${this.at(layer)}.attentionResidual.norm`, rows);
    let z = fed(0, latentsAsk(g, normed(0, x), p(0, 'mixer')));
    for (let repeat = 0; repeat < 2; repeat++) z = fed(1, g.add(z, eachOther(g, normed(1, z), p(1, 'attention'), 2)));
    return fed(3, placesAsk(g, normed(3, z), p(3, 'mixer'), x.rows));
  }
}

onEveryDevice((on) => {
  const modelOf = (config: object): Transformer => {
    const model = new Transformer(readConfig(config));
    fill(model, on.device, 5);
    return model;
  };
  const numbersOf = async (run: () => Tensor): Promise<Float32Array> => {
    const out = scope(() => noGradient(run));
    const data = await out.data();
    out.dispose();
    return data as Float32Array;
  };
  const hidden = (g: Graph, model: Transformer, parameter: Parameter, text: readonly number[]) => {
    const oracle = new LatentOracle(g, model.config, parameter);
    return { oracle, rows: oracle.hidden(text) };
  };

  test('as published: narrower latents, values of another size; the loss and all gradients are those of the formula', async () => {
    const model = new Transformer(readConfig(published));
    // what is read is what is written
    expect(readConfig(JSON.parse(JSON.stringify(model.config)))).toEqual(model.config);
    await checkModel(on.device, {
      name: 'published',
      module: model,
      weights: [1],
      run: () => [model.loss({ tokens: tokensOf(on.device, tokens), targets: tokensOf(on.device, targets) }).loss],
      oracle: (g, parameter) => {
        const oracle = new PublishedOracle(g, model.config, parameter);
        return [oracle.lossAt(oracle.hidden(tokens), targets)];
      },
    });
    model.dispose();
  });

  test('AR: the loss at the latest tokens, and all gradients, padded or not, are those of the formula', async () => {
    const model = new Transformer(readConfig(ar));
    await checkModel(on.device, {
      name: 'perceiver AR',
      module: model,
      weights: [1, 1],
      run: () => {
        const all = { tokens: tokensOf(on.device, tokens), targets: tokensOf(on.device, targets) };
        const padded = {
          tokens: tokensOf(on.device, [...tokens, 8, 2, 7, 7, 7, 7, 7], 2),
          targets: tokensOf(on.device, [...targets, 2, 5, ...new Array<number>(5).fill(IGNORED)], 2),
          lengths: [5, 2],
        };
        return [model.loss(all).loss, model.loss(padded).loss];
      },
      oracle: (g, parameter) => {
        const of = (text: readonly number[], wanted: readonly number[]): Matrix => {
          const { oracle, rows } = hidden(g, model, parameter, text);
          return oracle.lossAt(rows, wanted.slice(-rows.rows));
        };
        const long = of(tokens.slice(0, 5), targets.slice(0, 5));
        return [of(tokens, targets), g.add(g.scale(long, 3 / 5), g.scale(of([8, 2], [2, 5]), 2 / 5))];
      },
    });
    model.dispose();
  });

  test('AR: losses one by one stand at their tokens; a later token changes nothing before it', async () => {
    const model = modelOf(ar);
    const lossOf = (text: readonly number[], lengths?: readonly number[]) =>
      numbersOf(
        () =>
          model.loss(
            { tokens: tokensOf(on.device, text), targets: tokensOf(on.device, targets), ...(lengths && { lengths }) },
            { reduction: 'none' },
          ).loss,
      );
    const [whole, changed, padded] = [
      await lossOf(tokens),
      await lossOf([...tokens.slice(0, 6), 8]),
      await lossOf(tokens, [6]),
    ];
    expect([...whole].map((loss) => loss > 0)).toEqual([false, false, false, false, true, true, true]);
    expectSameBits('before', changed.subarray(0, 6), whole.subarray(0, 6));
    expect(changed[6]).not.toBe(whole[6]);
    expect([...padded].map((loss) => loss > 0)).toEqual([false, false, false, true, true, true, false]);
    model.dispose();
  });

  test('AR: a session gives the logits of the whole text, each row as it would be alone, and goes back', async () => {
    const model = modelOf(ar);
    const session = openSession(model, { maxLength: 9, rows: 2 });
    const last = (text: readonly number[]) =>
      numbersOf(() => model.logits(tokensOf(on.device, text))).then((all) => [...all.subarray(all.length - 10)]);
    const step = async (lists: readonly (readonly number[])[]) => [...(await numbersOf(() => session.step(lists)))];
    const budget = 2e-6;
    expectClose('prompts', await step([[3, 1, 4, 1], [7]]), [...(await last([3, 1, 4, 1])), ...(await last([7]))], {
      budget,
    });
    expectClose('step', await step([[5], [2, 6]]), [...(await last([3, 1, 4, 1, 5])), ...(await last([7, 2, 6]))], {
      budget,
    });
    expect(session.lengths).toEqual([5, 3]);
    const state = await session.export();
    const other = openSession(model, { maxLength: 9, rows: 2 });
    await other.import(state);
    for (const one of state.tensors.values()) one.dispose();
    session.truncate([4, 3]);
    const fork = session.fork([0]);
    expectSameBits('fork', await numbersOf(() => fork.step([5])), await last([3, 1, 4, 1, 5]));
    expectSameBits(
      'imported',
      (await numbersOf(() => other.step([[9], [9]]))).subarray(0, 10),
      await last([3, 1, 4, 1, 5, 9]),
    );
    expect(() => openSession(model, { maxLength: 9, cache: 'ring' })).toThrow('has no cache; leave cache out');
    expect(() => session.step([[1, 1, 1, 1, 1, 1], [1]])).toThrow('maxLength');
    for (const one of [session, other, fork]) one.dispose();
    expect(() => session.step([[1], [1]])).toThrow('disposed');
    model.dispose();
  });

  test('a decoder whose layers share weights goes on with its text too', async () => {
    const model = modelOf({ ...small, layers: [{}, { as: 0 }] });
    expect([...model.namedParameters().keys()].some((name) => name.startsWith('stack.layers.1'))).toBe(false);
    const session = model.session({ maxLength: 7 });
    const got = await numbersOf(() => session.step([3, 1, 4]));
    const want = await numbersOf(() => model.logits(tokensOf(on.device, [3, 1, 4])));
    expectSameBits('logits', got, want.subarray(20));
    session.dispose();
    model.dispose();
  });

  test('IO: the loss at every place and all gradients, padded too, are those of the formula', async () => {
    const model = new Transformer(readConfig(io));
    await checkModel(on.device, {
      name: 'perceiver IO',
      module: model,
      weights: [1],
      run: () => {
        const batch = {
          tokens: tokensOf(on.device, [...tokens, 8, 2, 7, 7, 7, 7, 7], 2),
          targets: tokensOf(on.device, [...targets, 2, 5, ...new Array<number>(5).fill(IGNORED)], 2),
          lengths: [7, 2],
        };
        return [model.loss(batch).loss];
      },
      oracle: (g, parameter) => {
        const of = (text: readonly number[], wanted: readonly number[]): Matrix => {
          const { oracle, rows } = hidden(g, model, parameter, text);
          return g.scale(oracle.lossAt(rows, wanted), wanted.length / 9);
        };
        return [g.add(of(tokens, targets), of([8, 2], [2, 5]))];
      },
    });
    scope(() => {
      const long = tokensOf(on.device, [...tokens, 1]);
      expect(() => model.hidden(long)).toThrow();
    });
    model.dispose();
  });
});

test('what gives rows back needs one that gave fewer; a decoder does not read all latents', () => {
  expect(() => readConfig({ ...io, layers: [{}, { mixer: 'perceiver-output' }] })).toThrow('there is none');
  expect(() => readConfig({ ...ar, kind: 'transformer-xl', position: 'transformer-xl' })).toThrow('takes a mechanism');
  expect(() => readConfig({ ...ar, layers: [{ mixer: 'token-learner' }] })).toThrow('has no causal form');
});

test.each([
  [{ layers: [{ sizes: { width: 6 } }] }, 'a layer of width 6 is given rows of 8: take a mixer that changes the width'],
  [{ position: 'none', layers: [published.layers[0], {}] }, 'a layer of width 8 is given rows of 6'],
  [{ kind: 'decoder', layers: [{ sizes: { heads: 1 } }] }, 'sizes of layers are for encoders'],
  [{ layers: [{ mixer: 'fnet', sizes: { width: 6 } }] }, 'gives rows as wide as it takes; got 8 and 6'],
  [
    { embedding: { given: true }, prediction: { bias: true } },
    'embedding.given is for encoders that predict no tokens',
  ],
])('%j is refused', (config, why) => {
  expect(() => readConfig({ ...small, kind: 'encoder', ...config })).toThrow(why);
});
