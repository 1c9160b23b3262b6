import { expect, test } from 'vitest';
import { mechanism } from '../../src/attention/index.js';
import { layersOf, preset, presets, readConfig, Transformer, type ModelConfig } from '../../src/models/index.js';
import { gradients, scope } from '../../src/tensor/index.js';
import { predicate } from '../masks/brute.js';
import type { Matrix } from '../oracles/graph.js';
import { onEveryDevice } from '../support/devices.js';
import { fill } from '../nn/check.js';
import { checkModel, tokensOf } from './check.js';
import { ModelOracle } from './oracle.js';

const tokens = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8];
const targets = [1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9];
const small = { vocabulary: 10, length: 12, width: 8, heads: 2, feedForward: { hidden: 12 } };

/** A stack of patterns, whose pairs are those of the mechanism of each layer. */
class PatternOracle extends ModelOracle {
  override of(layer: number): PatternOracle {
    const own = new PatternOracle(this.g, { ...this.config, ...layersOf(this.config)[layer] }, this.parameter);
    own.layer = layer;
    return own;
  }

  layer = 0;

  override attention(layer: number, x: Matrix): Matrix {
    const { g, config } = this;
    const { heads, headDim } = config;
    const name = `${this.at(layer)}.attention`;
    const qkv = g.matmul(x, this.parameter(`${name}.qkv.weight`));
    const head = (n: number): Matrix => g.columns(qkv, n * headDim, (n + 1) * headDim);
    const pairs = pairsOf(config, x.rows, this.causal);
    const outs = Array.from({ length: heads }, (_, h) => {
      const [q, k, v] = [this.turned(head(h)), this.turned(head(heads + h)), head(2 * heads + h)];
      const scores = g.scale(g.matmulT(q, k), headDim ** -0.5);
      return g.matmul(
        g.softmax(scores, (i, j) => pairs(h, i, j)),
        v,
      );
    });
    return g.matmul(g.concatColumns(outs), this.parameter(`${name}.out.weight`));
  }
}

/** Which keys a query of a head sees. */
function pairsOf({ mechanism: { name, options }, heads }: ModelConfig, n: number, causal: boolean) {
  const shape = { B: 1, H: heads, G: heads, L: n, S: n, D: 4, E: 4 };
  const mask = mechanism(name).pattern(shape, { ...options, causal });
  const allowed = mask && predicate(mask.expression(shape), shape);
  return (h: number, i: number, j: number): boolean =>
    (!causal || j <= i) && (allowed === undefined || allowed(0, h, i, j));
}

/** Sizes of options for twelve tokens. */
const fewer: Readonly<Record<string, number>> = {
  radius: 2,
  poolRadius: 4,
  latents: 5,
  tokens: 3,
  memory: 2,
  points: 3,
  blockSize: 2,
  width: 4,
  height: 3,
  blockHeight: 2,
  blockWidth: 2,
  flangeHeight: 1,
  flangeWidth: 1,
};
function shrunk(value: unknown, key = ''): unknown {
  if (Array.isArray(value)) return key === 'radius' ? [1, 3] : value.map((one) => shrunk(one));
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, shrunk(one, name)]));
  }
  return fewer[key] ?? value;
}
const modelOf = (name: string): Transformer =>
  new Transformer(readConfig({ ...(shrunk(preset(name)) as object), ...small }));
const stacks = Object.keys(presets).filter((name) => !['tiny', 'small'].includes(name));

onEveryDevice((on) => {
  const batch = (rows: number) => ({
    tokens: tokensOf(on.device, tokens),
    targets: tokensOf(on.device, rows === 12 ? targets : targets.slice(-rows)),
  });

  test.each(['hybrid', 'image-transformer', 'bigbird'])(
    '%s: the loss and all gradients are those of the formula over the pairs of each layer',
    async (name) => {
      const model = modelOf(name);
      await checkModel(on.device, {
        name,
        module: model,
        weights: [1],
        run: () => [model.loss(batch(12)).loss],
        oracle: (g, parameter) => [new PatternOracle(g, model.config, parameter).loss(tokens, targets)],
      });
      model.dispose();
    },
  );

  test.each(stacks)('%s: its loss reaches every parameter that it learns', async (name) => {
    const model = modelOf(name);
    fill(model, on.device, 3);
    const names = [...model.learnedTensors().keys()];
    const found = scope(() => {
      const { loss, losses = {} } = model.loss(batch(model.stack.rowsFor(12)));
      return gradients([loss, ...Object.values(losses)], [...model.learnedTensors().values()]);
    });
    const still: string[] = [];
    for (const [i, one] of found.entries()) {
      const numbers = [...((await one.data()) as Float32Array)];
      expect(numbers.every(Number.isFinite), names[i]).toBe(true);
      if (numbers.every((number) => number === 0)) still.push(names[i]!);
      one.dispose();
    }
    expect(still).toEqual([]);
    model.dispose();
  });

  test.each(stacks.filter((name) => readConfig(preset(name)).kind === 'decoder'))(
    '%s: what is said of a pixel or byte does not depend on those after it',
    async (name) => {
      // content decides what clusters and blocks hold, later content too
      if (name === 'routing') return;
      const model = modelOf(name).initialise({ device: on.device, seed: 1 });
      const lossesOf = async (text: readonly number[]) => {
        const loss = scope(
          () =>
            model.loss(
              { tokens: tokensOf(on.device, text), targets: tokensOf(on.device, targets) },
              { reduction: 'none' },
            ).loss,
        );
        const data = (await loss.data()) as Float32Array;
        loss.dispose();
        return [...data];
      };
      const whole = await lossesOf(tokens);
      for (const changed of [11, 9, 8]) {
        const other = await lossesOf(tokens.map((token, i) => (i === changed ? (token + 1) % 10 : token)));
        expect(other.slice(0, changed)).toEqual(whole.slice(0, changed));
        expect(other[changed]).not.toBe(whole[changed]);
      }
      // the outer layers of an axial stack show a pixel all rows above it, the inner ones its own
      for (const pixel of name === 'axial' ? tokens.slice(0, -1).keys() : []) {
        const other = await lossesOf(tokens.map((token, i) => (i === pixel ? (token + 1) % 10 : token)));
        expect(other[11], `pixel ${pixel}`).not.toBe(whole[11]);
      }
      model.dispose();
    },
  );
});
