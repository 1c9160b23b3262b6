import { expect, test } from 'vitest';
import { ShapeError } from '../../src/core/errors.js';
import { IGNORED, readConfig, Transformer, TransformerXl } from '../../src/models/index.js';
import { disposeAll, noGradient, scope, type Tensor } from '../../src/tensor/index.js';
import { expectSameBits } from '../support/compare.js';
import { onEveryDevice } from '../support/devices.js';
import { checkModel, tokensOf } from './check.js';
import { ModelOracle } from './oracle.js';

/** A token beyond those that are predicted, which masks. */
const base = {
  kind: 'encoder',
  vocabulary: 10,
  outputs: 9,
  length: 7,
  layers: 2,
  width: 8,
  heads: 2,
  feedForward: { hidden: 10 },
};
const texts = [
  [2, 9, 9, 8, 2, 8, 1],
  [3, 1, 9, 0, 5, 6, 9],
];
const places = [
  [1, 2, 5],
  [2, 6, 0],
];
const targets = [
  [7, 1, 8],
  [4, 1, IGNORED],
];

onEveryDevice((on) => {
  const batch = () => ({
    tokens: tokensOf(on.device, texts.flat(), 2),
    places: tokensOf(on.device, places.flat(), 2),
    targets: tokensOf(on.device, targets.flat(), 2),
  });
  const model = (own: object = {}) => new Transformer(readConfig({ ...base, ...own }));

  test.each([
    ['tied', {}],
    ['untied', { tied: false }],
    ['in chunks', { lossChunk: 2 }],
  ])('%s: the loss of few rows, over the tokens that are predicted, and all gradients', async (name, own) => {
    const module = model(own);
    await checkModel(on.device, {
      name,
      module,
      weights: [1],
      run: () => [module.loss(batch()).loss],
      oracle: (g, parameter) => {
        const oracle = new ModelOracle(g, module.config, parameter);
        const each = texts.flatMap((tokens, row) => {
          const hidden = oracle.hidden(tokens);
          return places[row]!.flatMap((place, i) => {
            const target = targets[row]![i]!;
            if (target === IGNORED) return [];
            return [g.scale(oracle.lossAt(g.gatherRows(hidden, [place]), [target]), 1 / 5)];
          });
        });
        return [each.reduce((sum, one) => g.add(sum, one))];
      },
    });
    module.dispose();
  });

  test.each([
    ['tied', {}],
    ['in chunks', { lossChunk: 2 }],
  ])('%s: predictions are the likeliest of the logits there', async (_, own) => {
    const module = model(own).initialise({ device: on.device, seed: 6 });
    const { predictions, logits, all } = scope(() =>
      noGradient(() => ({
        predictions: module.loss(batch(), { predictions: true }).predictions!,
        all: module.loss(
          { tokens: batch().tokens, targets: tokensOf(on.device, Array<number>(14).fill(0), 2) },
          { predictions: true, reduction: 'none' },
        ).predictions!,
        logits: module.logits(batch().tokens),
      })),
    );
    expect([predictions.shape, all.shape, logits.shape]).toEqual([
      [2, 3],
      [2, 7],
      [2, 7, 9],
    ]);
    const data = [...(await logits.data())];
    const likeliest = (row: number, place: number): number => {
      const own = data.slice(9 * (7 * row + place), 9 * (7 * row + place + 1));
      return own.indexOf(Math.max(...own));
    };
    expect([...(await predictions.data())]).toEqual(
      places.flatMap((ofRow, row) => ofRow.map((place) => likeliest(row, place))),
    );
    expect([...(await all.data())]).toEqual(
      texts.flatMap((text, row) => text.map((__, place) => likeliest(row, place))),
    );
    disposeAll([predictions, logits, all]);
    module.dispose();
  });

  test.each([
    ['of an encoder', model],
    ['of a model with memory', () => new TransformerXl(readConfig({ ...base, kind: 'transformer-xl' }))],
  ])('%s: of all places, it is the loss of all rows, to the bit', async (_, make) => {
    const module = make().initialise({ device: on.device, seed: 6 });
    const wanted = [7, 1, 8, 0, 0, 2, 5, 4, 1, 2, 3, 4, 5, 6];
    const order = [0, 1, 2, 3, 4, 5, 6];
    const loss = (more: () => object): Tensor =>
      scope(() =>
        noGradient(
          () =>
            module.loss(
              { tokens: batch().tokens, targets: tokensOf(on.device, wanted, 2), ...more() },
              { reduction: 'none' },
            ).loss,
        ),
      );
    const few = loss(() => ({ places: tokensOf(on.device, [...order, ...order], 2) }));
    const all = loss(() => ({}));
    expectSameBits('losses', await few.data(), await all.data());
    disposeAll([few, all]);
    module.dispose();
  });

  test('what does not fit is refused', () => {
    const module = model().initialise({ device: on.device, seed: 6 });
    scope(() => {
      const { tokens, places: some, targets: own } = batch();
      expect(() => module.loss({ tokens, places: some, targets: tokens })).toThrow(ShapeError);
      expect(() => module.loss({ tokens, targets: own })).toThrow(/give 7 rows, so targets must be \[B,7\]/);
      expect(() => module.loss({ tokens, targets: own, places: tokensOf(on.device, [0, 7, 1, 1, 1, 1], 2) })).toThrow(
        /indices must be from 0 to 6/,
      );
    });
    module.dispose();
    expect(() => readConfig({ ...base, outputs: 11 })).toThrow(/outputs must be at most vocabulary 10; got 11/);
  });
});
