import { expect, test } from 'vitest';
import { createModel, openSession, readConfig, type Transformer } from '../../src/models/index.js';
import { scope } from '../../src/tensor/index.js';
import { factored } from '../oracles/factored.js';
import { oneOfBlocks } from '../oracles/one-of-blocks.js';
import type { Matrix } from '../oracles/graph.js';
import { expectSameBits } from '../support/compare.js';
import { onEveryDevice } from '../support/devices.js';
import { fill } from '../nn/check.js';
import { affine } from '../nn/formulas.js';
import { checkModel, tokensOf } from './check.js';
import { ModelOracle } from './oracle.js';

const sizes = { modules: 4, kernel: 3 };
/** Terraformer in small: reversible layers of sparse projections and sparse feed-forward layers. */
const small = {
  vocabulary: 10,
  width: 8,
  heads: 2,
  length: 8,
  layers: 2,
  projection: { name: 'factored', ...sizes },
  feedForward: { name: 'scaling', hidden: 12, options: { block: 4, rank: 3, quantProb: 0 } },
};
const tokens = [3, 1, 4, 1, 5, 9, 2, 6];
const targets = [...tokens.slice(1), 5];

class Terraformer extends ModelOracle {
  override feedForward(layer: number, x: Matrix): Matrix {
    const p = (name: string): Matrix => this.parameter(`${this.at(layer)}.feedForward.${name}`);
    return oneOfBlocks(this.g, x, p, { block: 4, mask: 'soft' });
  }

  override attention(layer: number, x: Matrix): Matrix {
    const { g, config } = this;
    const { heads, headDim } = config;
    const name = `${this.at(layer)}.attention`;
    const [q, k, v] = factored(g, x, (of) => this.parameter(`${name}.qkv.${of}`), sizes);
    const outs = Array.from({ length: heads }, (_, h) => {
      const head = (of: Matrix): Matrix => g.columns(of, h * headDim, (h + 1) * headDim);
      const scores = g.scale(g.matmulT(this.turned(head(q)), this.turned(head(k))), 1 / Math.sqrt(headDim));
      return g.matmul(
        g.softmax(scores, (i, j) => j <= i),
        head(v),
      );
    });
    return affine(g, g.concatColumns(outs), this.parameter(`${name}.out.weight`));
  }
}

onEveryDevice((on) => {
  test.each(['plain', 'reversible'])(
    'sparse projections and sparse layers, residual %s: the loss and all gradients are those of the formula',
    async (residual) => {
      const model = createModel(readConfig({ ...small, residual })) as Transformer;
      model.train({ seed: 1, step: 1 });
      await checkModel(on.device, {
        name: residual,
        module: model,
        weights: [1],
        run: () => [model.loss({ tokens: tokensOf(on.device, tokens), targets: tokensOf(on.device, targets) }).loss],
        oracle: (g, parameter) => [new Terraformer(g, model.config, parameter).loss(tokens, targets)],
      });
      model.dispose();
    },
  );

  test('a later token changes nothing before it, and padding behind a sequence nothing in it', async () => {
    for (const kind of ['decoder', 'encoder']) {
      const model = createModel(readConfig({ ...small, kind })) as Transformer;
      fill(model, on.device, 5);
      const hidden = async (list: readonly number[], lengths?: readonly number[]) => {
        const out = scope(() => model.hidden(tokensOf(on.device, list), { lengths }));
        const data = (await out.data()).slice(0, 6 * 8);
        out.dispose();
        return data;
      };
      const padding = kind === 'encoder' ? [6] : undefined;
      const want = await hidden([...tokens.slice(0, 6), 0, 0], padding);
      expectSameBits(kind, await hidden([...tokens.slice(0, 6), 7, 8], padding), want);
      model.dispose();
    }
  });

  test('does not decode step by step, unless a row is of itself', () => {
    const model = createModel(readConfig(small));
    fill(model, on.device, 5);
    expect(() => openSession(model, { maxLength: 8 })).toThrow(
      'session: projection factored of layer 0 does not decode step by step: its queries and keys are of rows before',
    );
    model.dispose();
    const single = createModel(readConfig({ ...small, projection: { ...small.projection, kernel: 1 } }));
    fill(single, on.device, 5);
    const session = openSession(single, { maxLength: 8 });
    session.step([1, 2]).dispose();
    session.dispose();
    single.dispose();
  });
});

test('in JSON: as many modules as heads, a kernel of three, and a layer that is dense again', () => {
  const { projection: _, ...rest } = small;
  const config = readConfig({ ...rest, projection: 'factored', layers: [{}, { projection: 'dense' }] });
  expect(config.projection).toEqual({ name: 'factored', modules: 2, kernel: 3 });
  expect(config.pattern!.map(({ projection }) => projection?.name)).toEqual(['factored', 'dense']);
  expect(readConfig(JSON.parse(JSON.stringify(config)))).toEqual(config);
  expect('projection' in readConfig(rest)).toBe(false);
  const read = (more: object) => () => readConfig({ ...small, ...more });
  expect(read({ projection: { name: 'factored', kernel: 2 } })).toThrow('kernel must be odd; got 2');
  expect(read({ projection: { name: 'factored', modules: 3 } })).toThrow('modules 3 must divide the 8 features');
  expect(read({ projection: { name: 'dense', modules: 2 } })).toThrow('projection dense has no modules');
  expect(read({ kvHeads: 1 })).toThrow('projection factored gives as many queries, keys and values as features 8');
  expect(read({ kind: 'encoder-decoder' })).toThrow('take a decoder or an encoder');
  expect(read({ kind: 'encoder', mixer: 'fnet' })).toThrow('projection is of attention; leave mixer fnet out');
  expect(read({ projection: { name: 'sparse' } })).toThrow('projection.name must be');
});
