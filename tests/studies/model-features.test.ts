import { describe, expect, test } from 'vitest';
import { CapabilityError, OptionError } from '../../src/core/errors.js';
import { readConfig, Transformer, type ModelConfig } from '../../src/models/index.js';
import { featureSource, modelFeatures, type ModelFeatureOptions } from '../../src/studies/model-features.js';
import type { Problem } from '../../src/studies/reference.js';
import { parametersOf } from '../models/check.js';
import { ModelOracle } from '../models/oracle.js';
import { fill } from '../nn/check.js';
import { affine } from '../nn/formulas.js';
import { double, single } from '../oracles/arithmetic.js';
import { Graph, type Matrix } from '../oracles/graph.js';
import { budgetOf, expectClose, expectSameBits } from '../support/compare.js';
import { onEveryDevice } from '../support/devices.js';

const LENGTH = 8;
const text = new TextEncoder().encode('It is a truth universally');
const base = { length: LENGTH, layers: 3, width: 16, heads: 4, feedForward: { hidden: 10 } };
const ORDERS = 4;
const kinds = ['q', 'k', 'v'] as const;
type Heads = Readonly<Record<(typeof kinds)[number], readonly Matrix[]>>;

/** The formula of the model, which tells what the attention of each layer was given. */
class Tapped extends ModelOracle {
  readonly taken: Heads[] = [];

  override attention(layer: number, x: Matrix): Matrix {
    const { g, config, parameter } = this;
    const { heads, kvHeads, headDim } = config;
    const name = `${this.at(layer)}.attention.qkv`;
    const all = affine(g, x, parameter(`${name}.weight`), config.bias ? parameter(`${name}.bias`) : undefined);
    const head = (n: number): Matrix => g.columns(all, n * headDim, (n + 1) * headDim);
    const each = (f: (group: number, h: number) => Matrix): Matrix[] =>
      Array.from({ length: heads }, (_, h) => f(Math.floor((h * kvHeads) / heads), h));
    this.taken[layer] = {
      q: each((_, h) => this.turned(head(h))),
      k: each((group) => this.turned(head(heads + group))),
      v: each((group) => head(heads + kvHeads + group)),
    };
    return super.attention(layer, x);
  }
}

const numbersOf = (heads: readonly Matrix[], wanted: readonly number[]): number[] =>
  wanted.flatMap((head) => [...heads[head - 1]!.data]);

/** Narrower than what the model attends to at n, where that is more than in training. */
const within = (config: ModelConfig): ModelConfig =>
  config.mechanism.name === 'flash'
    ? { ...config, mechanism: { name: 'sliding-window', options: { radius: LENGTH - 1 } } }
    : config;

onEveryDevice((on) => {
  test('an encoder reads stretches of its length apart from each other', async () => {
    const config = readConfig({ ...base, kind: 'encoder', vocabulary: 257, outputs: 256 });
    const model = new Transformer(config);
    fill(model, on.device, 3);
    const all = await modelFeatures(on.device, { model, config }, text.subarray(0, 20), { layer: 3 });
    expect(all.note).toContain('The model sees all pairs.');
    expect(all.note).toContain('the layers below read stretches of that length');
    // another byte in the second stretch moves the rows of that stretch, those before it too, and no others
    const other = text.slice(0, 20);
    other[LENGTH + 3]!++;
    const moved = await modelFeatures(on.device, { model, config }, other, { layer: 3 });
    for (const name of kinds) {
      const rows = Array.from({ length: 20 }, (_, row) => row).filter((row) => {
        const [before, after] = [all, moved].map(({ problem }) => problem[name].subarray(4 * row, 4 * row + 4));
        return before!.some((x, d) => x !== after![d]);
      });
      expect(rows).toEqual(Array.from({ length: LENGTH }, (_, i) => LENGTH + i));
    }
    model.dispose();
  });

  describe('are what the formula gives', () => {
    test.each<[string, Record<string, unknown>, number, ModelFeatureOptions]>([
      ['the trained length', {}, LENGTH, { layer: 3 }],
      ['the first layer', {}, 20, { layer: 1 }],
      ['beyond the trained length', {}, 20, { layer: 3 }],
      ['some heads, the middle layer', {}, 11, { heads: [4, 1] }],
      ['grouped heads', { kvHeads: 2 }, 20, { layer: 2, heads: [2, 3, 4] }],
      ['reversible layers', { residual: 'reversible' }, 20, { layer: 3 }],
      [
        'post-norm, biases, sines',
        { norm: { place: 'post', kind: 'layer' }, bias: true, position: 'sinusoidal' },
        20,
        {},
      ],
      ['its own window', { mechanism: { name: 'sliding-window', options: { radius: 2 } } }, 20, { layer: 3 }],
      ['alibi', { position: 'alibi' }, 20, { layer: 3 }],
      ['learned positions', { position: 'learned' }, LENGTH, { layer: 2 }],
    ])('%s', async (name, own, n, options) => {
      const config = readConfig({ ...base, ...own });
      const model = new Transformer(config);
      const parameters = fill(model, on.device, 3);
      const bytes = text.subarray(0, n);
      const { problem } = await modelFeatures(on.device, { model, config }, bytes, options);
      const { layer = 2, heads = [1, 2, 3, 4] } = options;
      // up to the trained length the formula is that of the model itself
      const of = n > LENGTH ? within(config) : config;
      const evaluate = (g: Graph): Heads => {
        const oracle = new Tapped(g, of, parametersOf(g, model, parameters));
        oracle.hidden([...bytes]);
        return oracle.taken[layer - 1]!;
      };
      const exact = evaluate(new Graph(double));
      const plain = Array.from({ length: ORDERS }, (_, order) => evaluate(new Graph(single, order)));
      expect(problem).toMatchObject({ heads: heads.length, length: n, headDim: 4 });
      for (const kind of kinds) {
        const want = numbersOf(exact[kind], heads);
        const budget = Math.max(...plain.map((one) => budgetOf(want, numbersOf(one[kind], heads))));
        expectClose(`${name}: ${kind}`, problem[kind], want, { budget });
      }
      model.dispose();
    });
  });

  test('those of a prefix are a prefix, beyond the trained length too', async () => {
    const config = readConfig(base);
    const model = new Transformer(config).initialise({ device: on.device, seed: 1 });
    const features = async (n: number): Promise<Problem> =>
      (await modelFeatures(on.device, { model, config }, text.subarray(0, n), { layer: 3 })).problem;
    const [short, long] = [await features(13), await features(25)];
    for (const kind of kinds) {
      for (let h = 0; h < 4; h++) {
        const prefix = long[kind].subarray(h * 25 * 4, h * 25 * 4 + 13 * 4);
        expectClose(`${kind} of head ${h}`, prefix, short[kind].subarray(h * 13 * 4, (h + 1) * 13 * 4), {
          budget: 1e-6,
        });
      }
    }
    model.dispose();
  });

  test('queries of a layer with a scale of its own are given for a scale of 1/√headDim', async () => {
    const plain = readConfig(base);
    const scaled = readConfig({ ...base, attention: { scale: 1 } });
    // the first layer is given the same rows, whatever its scale
    const of = async (config: ModelConfig): Promise<Problem> => {
      const model = new Transformer(config).initialise({ device: on.device, seed: 1 });
      const { problem } = await modelFeatures(on.device, { model, config }, text.subarray(0, 9), { layer: 1 });
      model.dispose();
      return problem;
    };
    const [one, other] = [await of(plain), await of(scaled)];
    // √4, a power of two
    expectSameBits(
      'q',
      other.q,
      one.q.map((x) => 2 * x),
    );
    for (const kind of ['k', 'v'] as const) expectSameBits(kind, other[kind], one[kind]);
  });

  test('the trained model is left as it was', async () => {
    const config = readConfig({ ...base, dropout: 0.5 });
    const model = new Transformer(config).initialise({ device: on.device, seed: 1 });
    const bytes = text.subarray(0, 20);
    const once = await modelFeatures(on.device, { model, config }, bytes);
    const again = await modelFeatures(on.device, { model, config }, bytes);
    for (const kind of kinds) expectSameBits(kind, again.problem[kind], once.problem[kind]);
    model.dispose();
  });

  test('the note says whose they are, and what is new to the model', async () => {
    const config = readConfig({ ...base, position: 'alibi' });
    const model = new Transformer(config).initialise({ device: on.device, seed: 1 });
    const json = { data: { texts: ['books/a.txt', 'b.txt'] } };
    const note = async (n: number, options: ModelFeatureOptions): Promise<string> =>
      (await modelFeatures(on.device, { model, config, json }, text.subarray(0, n), options)).note;
    const short = await note(LENGTH, { layer: 3, heads: [2] });
    expect(short).toContain(
      'those of layer 3 of 3 (head 2 of 4) of a byte model of 8.3 k parameters, trained on a.txt, b.txt, at this text. The model is causal.',
    );
    expect(short).not.toContain('trained at length');
    expect(short).toContain('(alibi) adds to the scores is left out');
    expect(await note(LENGTH + 1, { layer: 3 })).toContain(
      'trained at length 8: the layers below attend to as many keys at every length, and pairs further apart are new to it',
    );
    expect(await note(LENGTH + 1, { layer: 1 })).toContain('trained at length 8: pairs further apart are new to it');
    model.dispose();
  });
});

test('the middle layer and all heads are the default', () => {
  expect(featureSource(readConfig(base), {}, 4)).toEqual({ layer: 2, heads: [1, 2, 3, 4], headDim: 4 });
  expect(featureSource(readConfig({ ...base, layers: 4 }), {}, 4).layer).toBe(2);
});

test('what the model does not have is refused, with every reason', () => {
  const learned = readConfig({ ...base, position: 'learned' });
  expect(() => featureSource(learned, { layer: 4, heads: [5, 1, 1] }, 9)).toThrow(
    new OptionError(
      'model features: the model has layers 1 to 3; got 4; its layers have heads 1 to 4; got 5; each head once, and at least one; ' +
        'got 5, 1, 1; the model learned 8 positions, so lengths are at most that; got 9.',
    ),
  );
  expect(() => featureSource(learned, { heads: [] }, 4)).toThrow('at least one; got none');
  for (const other of [{ kind: 'transformer-xl' }, { vocabulary: 300 }]) {
    expect(() => featureSource(readConfig({ ...base, ...other }), {}, 4)).toThrow(CapabilityError);
  }
});
