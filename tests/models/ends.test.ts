import { expect, test } from 'vitest';
import { OptionError, ShapeError } from '../../src/core/errors.js';
import { type Classifier, createModel, IGNORED, readConfig, Transformer } from '../../src/models/index.js';
import { scope } from '../../src/tensor/index.js';
import { fewNatively, onEveryDevice } from '../support/devices.js';
import { checkModel, tokensOf } from './check.js';
import { ModelOracle } from './oracle.js';

const tokens = [3, 0, 4, 1, 5, 0, 0];
const types = [0, 0, 1, 2, 1, 0, 1];
const targets = [1, 4, 1, 5, 9, 2, 6];
const base = {
  kind: 'encoder',
  vocabulary: 10,
  length: 7,
  layers: 1,
  width: 8,
  heads: 2,
  feedForward: { hidden: 10 },
  norm: { kind: 'layer', place: 'post', epsilon: 1e-12 },
};

const models: readonly (readonly [name: string, config: Record<string, unknown>])[] = [
  [
    'types, a norm, positions that leave padding out; a transform and biases',
    {
      position: { method: 'learned', first: 3, rows: 11, padding: 0 },
      embedding: { norm: 'layer', types: 3, scale: 1.5 },
      prediction: { transform: 'gelu', bias: true },
    },
  ],
  [
    'a narrower table; a transform without bias and norm, logits scaled and capped',
    {
      position: { method: 'learned', first: 2 },
      embedding: { width: 6, norm: 'rms' },
      prediction: { transform: 'tanh', transformBias: false, norm: 'none', scale: 3, softcap: 2 },
    },
  ],
  [
    'sines of a narrower table, another table for logits',
    {
      tied: false,
      outputs: 9,
      position: 'sinusoidal',
      embedding: { width: 6, types: 3 },
      prediction: { bias: true, softcap: 5 },
    },
  ],
  [
    'positions of a grid; both streams of reversible layers side by side',
    {
      tied: false,
      layers: 2,
      norm: { kind: 'layer', place: 'pre' },
      residual: { kind: 'reversible', joined: true },
      position: { method: 'learned', grid: { shape: [3, 3], widths: [3, 5] } },
    },
  ],
  [
    'a first layer without a norm before attention',
    { norm: { kind: 'layer', place: 'pre' }, layers: [{ norm: { mixing: false } }, {}] },
  ],
];

onEveryDevice((on) => {
  test.each(fewNatively(on.kind, models))(
    '%s: the loss and all gradients are those of the formula',
    async (name, own) => {
      const config = readConfig({ ...base, ...own });
      const model = new Transformer(config);
      const given = config.embedding?.types === undefined ? undefined : types;
      await checkModel(on.device, {
        name,
        module: model,
        weights: [1],
        run: () => {
          const batch = {
            tokens: tokensOf(on.device, tokens),
            targets: tokensOf(
              on.device,
              targets.map((one) => one % 9),
            ),
          };
          return [model.loss({ ...batch, ...(given && { types: tokensOf(on.device, given) }) }).loss];
        },
        oracle: (g, parameter) => {
          const oracle = new ModelOracle(g, config, parameter);
          return [
            oracle.lossAt(
              oracle.hidden(tokens, given),
              targets.map((one) => one % 9),
            ),
          ];
        },
      });
      model.dispose();
    },
  );

  test('a class of each row, behind a layer: the loss of those that are asked for, and all gradients', async () => {
    const config = readConfig({ ...base, head: { classes: 3, pool: 'none', dense: 'tanh', norm: true } });
    const model = createModel(config) as Classifier;
    const wanted = [2, IGNORED, 0, IGNORED, 1, 1, IGNORED];
    await checkModel(on.device, {
      name: 'classes of rows',
      module: model,
      weights: [1],
      run: () => [model.loss({ tokens: tokensOf(on.device, tokens), targets: tokensOf(on.device, wanted) }).loss],
      oracle: (g, parameter) => {
        const linear = (x: Parameters<typeof g.add>[0], of: string) =>
          g.add(g.matmul(x, parameter(`${of}.weight`)), parameter(`${of}.bias`));
        const oracle = new ModelOracle(g, config, parameter);
        const dense = g.map(
          linear(oracle.hidden(tokens), 'dense.dense'),
          (x, r) => r(Math.tanh(x)),
          (x, r) => r(1 - r(r(Math.tanh(x)) ** 2)),
        );
        const logits = linear(oracle.norm('dense.norm', dense), 'head');
        const real = wanted.flatMap((target, i) => (target === IGNORED ? [] : [i]));
        const chosen = g.input(
          real.flatMap((i) => [0, 1, 2].map((c) => Number(c === wanted[i]))),
          real.length,
          3,
        );
        const likelihood = g.log(g.rowSum(g.mul(g.softmax(g.gatherRows(logits, real)), chosen)));
        return [g.scale(g.columnSum(likelihood), -1 / real.length)];
      },
    });
    model.dispose();
  });

  test('a head without classes gives what is pooled; types and positions that there are not are refused', () => {
    const model = createModel(readConfig({ ...base, head: { pool: 'first', dense: 'tanh' } })) as Classifier;
    model.initialise({ device: on.device, seed: 1 });
    scope(() => {
      const some = tokensOf(on.device, tokens);
      expect(model.pooled(some).shape).toEqual([1, 8]);
      expect(model.hidden(some).shape).toEqual([1, 7, 8]);
      expect(() => model.logits(some)).toThrow(/tells no classes.*take pooled/);
      expect(() => model.hidden(some, { types: some })).toThrow(/has no token types/);
    });
    model.dispose();
    const typed = new Transformer(readConfig({ ...base, embedding: { types: 2 } })).initialise({
      device: on.device,
      seed: 1,
    });
    scope(() => {
      const some = tokensOf(on.device, tokens);
      expect(() => typed.hidden(some, { types: tokensOf(on.device, [0, 1]) })).toThrow(ShapeError);
      expect(() => typed.hidden(some, { types: some })).toThrow(OptionError);
    });
    typed.dispose();
  });
});

test('ends that contradict each other are refused, all reasons at once', () => {
  const refused = (own: object): string => {
    try {
      readConfig({ ...base, ...own });
    } catch (error) {
      return (error as Error).message;
    }
    return '';
  };
  const all = refused({
    embedding: { width: 6 },
    prediction: { transformBias: false },
    position: { method: 'learned', first: 2, rows: 8, padding: 10 },
  });
  expect(all).toMatch(/tied logits are of rows of embedding\.width 6, and the layers give 8/);
  expect(all).toMatch(/prediction\.transformBias and prediction\.norm are for a prediction\.transform/);
  expect(all).toMatch(/position\.rows must be at least 9, for length 7 from row 2 on; got 8/);
  expect(all).toMatch(/position\.padding must be a token of the 10; got 10/);
  expect(refused({ prediction: { bias: true }, head: { classes: 2 } })).toMatch(/a model with a head tells classes/);
  expect(refused({ position: { method: 'learned', grid: { shape: [2, 3], widths: [3, 4] } } })).toMatch(
    /position\.grid has 6 positions, and length is 7; position\.grid\.widths must add up to 8; got 3 and 4/,
  );
  expect(refused({ residual: { kind: 'plain', joined: true } })).toMatch(
    /residual\.joined is for residual "reversible"/,
  );
  expect(refused({ norm: { place: 'post', mixing: false } })).toMatch(
    /norm\.mixing false is for layers of norm\.place "pre"/,
  );
  expect(refused({ head: { classes: 2, norm: true } })).toMatch(/head\.dense names/);
  expect(refused({ position: { method: 'rope', first: 2 } })).toMatch(/position\.first is for method "learned"/);
});
