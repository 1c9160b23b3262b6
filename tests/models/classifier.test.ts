import { expect, test } from 'vitest';
import { OptionError, ShapeError } from '../../src/core/errors.js';
import { createModel, type Classifier, pools, readConfig, type Pool } from '../../src/models/index.js';
import { disposeAll, noGradient, scope, tensor } from '../../src/tensor/index.js';
import { expectSameBits } from '../support/compare.js';
import { onEveryDevice } from '../support/devices.js';
import { checkModel, tokensOf } from './check.js';
import { ModelOracle } from './oracle.js';
import type { Matrix } from '../oracles/graph.js';

const base = { vocabulary: 10, length: 5, layers: 2, width: 8, heads: 2, feedForward: { hidden: 10 } };
const texts = [
  [2, 7, 1, 8, 3],
  [3, 1],
];
const targets = [2, 0];

onEveryDevice((on) => {
  const made = (kind: string, pool: Pool) =>
    createModel(readConfig({ ...base, kind, head: { classes: 3, pool } })) as Classifier;
  const batch = () => ({
    tokens: tokensOf(
      on.device,
      texts.flatMap((text) => [...text, 9, 9, 9].slice(0, 5)),
      2,
    ),
    targets: tensor(Int32Array.from(targets), [2], { device: on.device }),
    lengths: [5, 2],
  });

  test('one class is a number: the loss is the mean square of what is off, predictions are the numbers', async () => {
    const module = createModel(
      readConfig({ ...base, kind: 'encoder', head: { classes: 1, pool: 'first' } }),
    ) as Classifier;
    const wanted = [0.7, -1.3];
    const numbers = () => ({ ...batch(), targets: tensor(wanted, [2], { device: on.device }) });
    await checkModel(on.device, {
      name: 'a number',
      module,
      weights: [1],
      run: () => [module.loss(numbers()).loss],
      oracle: (g, parameter) => {
        const oracle = new ModelOracle(g, module.config, parameter);
        const off = texts.map((text, i) => {
          const found = g.add(
            g.matmul(g.rows(oracle.hidden(text), 0, 1), parameter('head.weight')),
            parameter('head.bias'),
          );
          return g.sub(found, g.input([wanted[i]!], 1, 1));
        });
        const all = g.concatRows(off);
        return [g.scale(g.columnSum(g.mul(all, all)), 1 / 2)];
      },
    });
    const results = scope(() => {
      const given = numbers();
      const { loss, predictions } = noGradient(() => module.loss(given, { reduction: 'none', predictions: true }));
      return {
        loss,
        predictions: predictions!,
        logits: noGradient(() => module.logits(given.tokens, { lengths: given.lengths })),
      };
    });
    const [loss, found, logits] = await Promise.all(
      [results.loss, results.predictions, results.logits].map(async (x) => (await x.data()) as Float32Array),
    );
    expectSameBits('predictions', found!, logits!);
    wanted.forEach((want, i) => expect(loss![i]).toBeCloseTo((logits![i]! - want) ** 2, 5));
    scope(() => expect(() => module.loss(batch())).toThrow('so targets must be floats; got i32'));
    expect(() => readConfig({ ...base, kind: 'encoder', head: { classes: 1, pool: 'none' } })).toThrow(
      'must be at least 2 where each row has a class',
    );
    disposeAll(results);
    module.dispose();
  });

  test.each(pools.flatMap((pool) => (['encoder', 'decoder'] as const).map((kind) => [kind, pool] as const)))(
    '%s by %s: loss and all gradients of padded texts are those of the formula for each alone',
    async (kind, pool) => {
      const module = made(kind, pool);
      await checkModel(on.device, {
        name: `${kind} ${pool}`,
        module,
        weights: [1],
        run: () => [module.loss(batch()).loss],
        oracle: (g, parameter) => {
          const oracle = new ModelOracle(g, module.config, parameter);
          const weightsOf = (hidden: Matrix, length: number): Matrix => {
            const row = (of: (place: number) => number) =>
              g.input(
                Array.from({ length }, (_, i) => of(i)),
                1,
                length,
              );
            if (pool === 'mean') return row(() => 1 / length);
            if (pool === 'attention') return g.softmax(g.matmulT(parameter('query'), hidden));
            return row((place) => Number(place === (pool === 'first' ? 0 : length - 1)));
          };
          const each = texts.map((text, i) => {
            const hidden = oracle.hidden(text);
            const pooled = g.matmul(weightsOf(hidden, text.length), hidden);
            const logits = g.add(g.matmul(pooled, parameter('head.weight')), parameter('head.bias'));
            const chosen = g.input(
              [0, 1, 2].map((c) => Number(c === targets[i])),
              1,
              3,
            );
            return g.scale(g.log(g.rowSum(g.mul(g.softmax(logits), chosen))), -1 / 2);
          });
          return [g.add(each[0]!, each[1]!)];
        },
      });
      module.dispose();
    },
  );

  test('predictions are the likeliest classes; what is padded changes nothing', async () => {
    const model = made('encoder', 'attention').initialise({ device: on.device, seed: 4 });
    const found = scope(() =>
      noGradient(() => {
        const { tokens, targets: wanted, lengths } = batch();
        const other = tokensOf(on.device, [2, 7, 1, 8, 3, 3, 1, 0, 0, 4], 2);
        const { loss, predictions } = model.loss(batch(), { predictions: true, reduction: 'none' });
        const again = model.loss({ tokens: other, targets: wanted, lengths }, { reduction: 'none' }).loss;
        return { loss, predictions: predictions!, again, logits: model.logits(tokens, { lengths }) };
      }),
    );
    expect([found.loss.shape, found.predictions.shape, found.logits.shape]).toEqual([[2], [2], [2, 3]]);
    expectSameBits('losses', await found.again.data(), await found.loss.data());
    const logits = [...(await found.logits.data())];
    const want = [0, 1].map((row) => {
      const own = logits.slice(3 * row, 3 * row + 3);
      return own.indexOf(Math.max(...own));
    });
    expect([...(await found.predictions.data())]).toEqual(want);
    disposeAll(found);
    model.dispose();
  });

  test('a decoder reads the last token by default, an encoder the mean; others are refused', () => {
    const headOf = (kind: string) => readConfig({ ...base, kind, head: { classes: 2 } }).head;
    expect([headOf('decoder'), headOf('encoder')]).toEqual([
      { classes: 2, pool: 'last' },
      { classes: 2, pool: 'mean' },
    ]);
    expect(() => headOf('transformer-xl')).toThrow(/head is for kinds encoder and decoder; got kind transformer-xl/);
    expect(() => readConfig({ ...base, head: { classes: 0 } })).toThrow(OptionError);
    expect(() => readConfig({ ...base, head: {} })).toThrow(/head\.classes is missing/);
    const model = made('encoder', 'mean').initialise({ device: on.device, seed: 4 });
    scope(() => {
      const { tokens, targets: wanted } = batch();
      expect(() => model.loss({ tokens, targets: tokens })).toThrow(ShapeError);
      expect(() => model.loss({ tokens, targets: wanted, places: tokens })).toThrow(/unknown option "places"/);
    });
    model.dispose();
  });
});
