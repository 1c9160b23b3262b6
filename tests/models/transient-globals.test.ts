import { describe, expect, test } from 'vitest';
import { OptionError } from '../../src/core/errors.js';
import { createModel, readConfig, type Transformer } from '../../src/models/index.js';
import { noGradient, scope } from '../../src/tensor/index.js';
import type { Matrix } from '../oracles/graph.js';
import { t5Bucket } from '../oracles/rules.js';
import { affine, normalised } from '../nn/formulas.js';
import { fewNatively, onEveryDevice } from '../support/devices.js';
import { checkModel, tokensOf } from './check.js';
import { ModelOracle } from './oracle.js';

const block = 3;
const radius = 2;
const base = {
  kind: 'encoder',
  vocabulary: 9,
  length: 11,
  layers: 2,
  width: 8,
  heads: 2,
  feedForward: { hidden: 6 },
  mechanism: { name: 'sliding-window', options: { radius } },
  attention: { globals: block, scale: 0.8 },
};

/** One text: keys within the radius and those of blocks, `rms(Σ x)·w`, in one softmax (Guo et al. 2022, section 3.2). */
class GlobalsOracle extends ModelOracle {
  override attention(layer: number, x: Matrix): Matrix {
    const { g, config } = this;
    const { heads, headDim } = config;
    const name = `${this.at(layer)}.attention`;
    const whole = Math.floor(x.rows / block);
    const blockOf = (i: number): number => Math.min(Math.floor(i / block), whole - 1);
    const project = (rows: Matrix): Matrix => affine(g, rows, this.parameter(`${name}.qkv.weight`), undefined);
    const member = g.input(
      Array.from({ length: whole * x.rows }, (_, n) => Number(blockOf(n % x.rows) === Math.floor(n / x.rows))),
      whole,
      x.rows,
    );
    const sums = g.matmul(member, x);
    const globals = g.mul(
      normalised(g, sums, false, config.norm.epsilon),
      this.parameter(`${name}.globals.norm.weight`),
    );
    const [own, far] = [project(x), project(globals)];
    const head = (of: Matrix, n: number): Matrix => g.columns(of, n * headDim, (n + 1) * headDim);
    const t5 = config.position.method === 't5';
    const outs = Array.from({ length: heads }, (_, h) => {
      const q = head(own, h);
      const near = this.scored(g.scale(g.matmulT(q, head(own, heads + h)), this.scale), h);
      const plain = g.scale(g.matmulT(q, head(far, heads + h)), this.scale);
      const table = t5 ? g.columns(this.parameter(`${this.stack}.otherPositions.0.table`), h, h + 1) : undefined;
      const rule = { buckets: 32, maxDistance: 128, bidirectional: true };
      const bias = table
        ? g.concatRows(
            Array.from({ length: x.rows }, (_, i) =>
              g.transpose(
                g.gatherRows(
                  table,
                  Array.from({ length: whole }, (__, j) => t5Bucket(j - blockOf(i), rule)),
                ),
              ),
            ),
          )
        : undefined;
      const scores = g.concatColumns([near, bias ? g.add(plain, bias) : plain]);
      const weights = g.softmax(scores, (i, j) => j >= x.rows || Math.abs(i - j) <= radius);
      return g.matmul(weights, g.concatRows([head(own, 2 * heads + h), head(far, 2 * heads + h)]));
    });
    return affine(g, g.concatColumns(outs), this.parameter(`${name}.out.weight`), undefined);
  }
}

const texts = [
  [3, 1, 4, 1, 5, 2, 6, 5, 3, 5, 8],
  [2, 7, 1, 8, 2, 8, 1],
];
const targets = [
  [1, 4, 1, 5, 2, 6, 5, 3, 5, 8, 0],
  [7, 1, 8, 2, 8, 1, 3],
];

onEveryDevice((on) => {
  describe('keys that stand for blocks of rows', () => {
    test.each(fewNatively(on.kind, ['t5', 'none'], 1))(
      '%s: loss and gradients are those of the formula',
      async (position) => {
        const config = readConfig({ ...base, position });
        const own = createModel(config) as Transformer;
        await checkModel(on.device, {
          name: position,
          module: own,
          weights: [1],
          // the second text is shorter: padding is in no block, and its last rows are of its last whole one
          run: () => {
            const padded = (lists: readonly number[][], value: number): number[] =>
              lists.flatMap((list) => [...list, ...new Array<number>(11 - list.length).fill(value)]);
            const batch = {
              tokens: tokensOf(on.device, padded(texts, 4), 2),
              targets: tokensOf(on.device, padded(targets, -100), 2),
              lengths: texts.map(({ length }) => length),
            };
            return [own.loss(batch).loss];
          },
          oracle: (g, parameter) => {
            const losses = texts.map((text, i) => {
              const loss = new GlobalsOracle(g, config, parameter, 'stack', false).loss(text, targets[i]!);
              return g.scale(loss, text.length / 18);
            });
            return [g.add(losses[0]!, losses[1]!)];
          },
        });
        own.dispose();
      },
    );
  });

  if (on.kind === 'native') return;

  test('a text shorter than a block has no such keys', async () => {
    const model = createModel(readConfig({ ...base, position: 't5' })).initialise({
      device: on.device,
      seed: 1,
    }) as Transformer;
    const logits = noGradient(() => scope(() => model.logits(tokensOf(on.device, [1, 2]))));
    for (const x of await logits.data()) expect(Number.isFinite(x)).toBe(true);
    logits.dispose();
    model.dispose();
  });

  test('what cannot have them is refused', () => {
    const refused = (own: object, message: string): void => {
      const make = (): unknown => readConfig({ ...base, ...own });
      expect(make).toThrow(OptionError);
      expect(make).toThrow(message);
    };
    refused({ kind: 'decoder' }, 'attention.globals is for encoders');
    refused({ mechanism: 'performer' }, 'attention.globals is for encoders');
    refused({ attention: { globals: 2, softcap: 3 } }, 'without softcap');
    refused({ kind: 'encoder-decoder', mechanism: 'flash' }, 'decoder: attention.globals is for encoders');
  });
});
