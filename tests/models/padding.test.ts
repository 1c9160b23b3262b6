import { expect, test } from 'vitest';
import { OptionError } from '../../src/core/errors.js';
import { createModel, EncoderDecoder, IGNORED, readConfig, Transformer } from '../../src/models/index.js';
import { document, type Mask } from '../../src/masks/index.js';
import { disposeAll, noGradient, scope, type Tensor } from '../../src/tensor/index.js';
import { lossOfBatch } from '../../src/train/micro-batch.js';
import { expectClose, expectSameBits } from '../support/compare.js';
import { onEveryDevice } from '../support/devices.js';
import { checkModel, tokensOf } from './check.js';
import { ModelOracle } from './oracle.js';

const base = { vocabulary: 10, length: 7, layers: 2, width: 8, heads: 2, feedForward: { hidden: 10 } };
const long = [2, 7, 1, 8, 2, 8, 1];
const short = [3, 1, 4];
const targets = [7, IGNORED, 8, IGNORED, 8, 1, 5];
const few = [IGNORED, 4, 1];

onEveryDevice((on) => {
  test.each(['encoder', 'decoder'])(
    '%s: the loss and all gradients of padded rows are those of the formula for each row alone',
    async (kind) => {
      const model = new Transformer(readConfig({ ...base, kind }));
      await checkModel(on.device, {
        name: kind,
        module: model,
        weights: [1],
        run: () => {
          const batch = {
            tokens: tokensOf(on.device, [...long, ...short, 0, 9, 0, 5], 2),
            targets: tokensOf(on.device, [...targets, ...few, ...Array<number>(4).fill(IGNORED)], 2),
            lengths: [7, 3],
          };
          return [model.loss(batch).loss];
        },
        oracle: (g, parameter) => {
          const of = (tokens: readonly number[], wanted: readonly number[]) => {
            const oracle = new ModelOracle(g, model.config, parameter);
            const hidden = oracle.hidden(tokens);
            const counts = wanted.flatMap((target, i) => (target === IGNORED ? [] : [i]));
            return counts.map((i) => g.scale(oracle.lossAt(g.gatherRows(hidden, [i]), [wanted[i]!]), 1 / 7));
          };
          return [[...of(long, targets), ...of(short, few)].reduce((sum, one) => g.add(sum, one))];
        },
      });
      model.dispose();
    },
  );

  test.each(['rope', 'transformer-xl'])(
    'position %s: nothing sees padded tokens, not even those after them',
    async (position) => {
      const model = new Transformer(readConfig({ ...base, position })).initialise({ device: on.device, seed: 1 });
      const [one, other] = scope(() =>
        [long, [...long.slice(0, 4), 9, ...long.slice(5)]].map((tokens) =>
          noGradient(() => model.hidden(tokensOf(on.device, tokens), { lengths: [3] })),
        ),
      );
      const [a, b] = [await one!.data(), await other!.data()];
      expectSameBits('rows after the padded one', b.slice(40), a.slice(40));
      expect(b.slice(32, 40)).not.toEqual(a.slice(32, 40));
      expect(() => scope(() => model.hidden(tokensOf(on.device, long), { lengths: [8] }))).toThrow('lengths');
      disposeAll([one, other]);
      model.dispose();
    },
  );

  test.each(['encoder', 'decoder'])(
    '%s: the loss and all gradients of texts in one row, kept apart by a mask, are those of the formula for each text alone',
    async (kind) => {
      const model = new Transformer(
        readConfig({ ...base, length: 10, kind, residual: { kind: 'checkpointed', every: 1 } }),
      );
      const mask = document([...long.map(() => 4), ...short.map(() => 2)]);
      await checkModel(on.device, {
        name: kind,
        module: model,
        weights: [1],
        run: () => {
          // as a trainer is given it
          const [tokens, wanted] = [
            [...long, ...short],
            [...targets, ...few],
          ].map((data) => ({
            data: Int32Array.from(data),
            shape: [1, 10],
          }));
          const batch = { inputs: { tokens: tokens!, targets: wanted!, mask }, counted: 7 };
          return [lossOfBatch(batch, model, on.device, { precision: 'f32', state: undefined }).loss];
        },
        oracle: (g, parameter) => {
          const of = (tokens: readonly number[], wanted: readonly number[]) => {
            const oracle = new ModelOracle(g, model.config, parameter);
            const hidden = oracle.hidden(tokens);
            const counts = wanted.flatMap((target, i) => (target === IGNORED ? [] : [i]));
            return counts.map((i) => g.scale(oracle.lossAt(g.gatherRows(hidden, [i]), [wanted[i]!]), 1 / 7));
          };
          return [[...of(long, targets), ...of(short, few)].reduce((sum, one) => g.add(sum, one))];
        },
      });
      model.dispose();
    },
  );

  test('pairs of sources and texts in one row: each text reads its own source', async () => {
    const model = new EncoderDecoder(readConfig({ ...base, length: 10, position: 'none', kind: 'encoder-decoder' }));
    model.initialise({ device: on.device, seed: 1 });
    const apart = document([...long, ...short].map((_, i) => (i < 7 ? 1 : 2)));
    const all = scope(() => {
      const losses = (tokens: readonly number[], mask?: Mask): Tensor => {
        const row = tokensOf(on.device, tokens);
        const batch = {
          source: row,
          tokens: row,
          targets: row,
          ...(mask && { mask, sourceMask: mask, crossMask: mask }),
        };
        return model.loss(batch, { reduction: 'none' }).loss;
      };
      return noGradient(() => [losses([...long, ...short], apart), losses(long), losses(short)]);
    });
    const [packed, one, other] = await Promise.all(all.map((each) => each.data()));
    const want = [...one!, ...other!];
    expectClose('losses', packed!, want, { budget: 2 ** -20 * Math.max(...want.map(Math.abs)) });
    disposeAll(all);
    model.dispose();
  });

  test('what does not compare pairs, or has other rows, takes no mask', () => {
    const mask = document(long);
    const refusals = [
      [{ kind: 'encoder', mixer: 'fnet' }, 'fnet: takes no mask of pairs'],
      [{ kind: 'encoder', mechanism: 'linformer' }, 'linformer: it takes no mask'],
      [{ mechanism: 'linear-transformer' }, 'linear-transformer: it takes no mask'],
      [{ kind: 'transformer-xl' }, 'unknown option "mask"'],
    ] as const;
    scope(() => {
      const tokens = tokensOf(on.device, long);
      for (const [own, why] of refusals) {
        const config = readConfig({ ...base, ...own });
        const model = config.kind === 'transformer-xl' ? createModel(config) : new Transformer(config);
        model.initialise({ device: on.device, seed: 1 });
        expect(() => model.loss({ tokens, targets: tokens, mask })).toThrow(why);
        model.dispose();
      }
    });
  });

  test('what is no batch of the model is refused', () => {
    const tokens = tokensOf(on.device, long);
    const pair = { tokens, targets: tokens };
    const model = (own: object): Transformer =>
      createModel(readConfig({ ...base, ...own })).initialise({ device: on.device, seed: 1 }) as Transformer;
    for (const [own, batch, named] of [
      [{}, tokens, 'targets'],
      [{}, { tokens }, 'targets'],
      [{}, { ...pair, source: tokens }, 'source'],
      [{}, { ...pair, lengths: 3 }, 'lengths'],
      [{}, { ...pair, mask: 3 }, 'mask must be a mask, such as document(ids)'],
      [{}, { ...pair, mask: document([1, 2]) }, 'ids must be [S] or [B,S]'],
      [{}, { ...pair, lengths: [8] }, 'lengths'],
      [{}, { ...pair, lengths: [3, 3] }, 'lengths'],
      [{ kind: 'transformer-xl', memory: { length: 4 } }, { ...pair, lengths: [3] }, 'lengths'],
    ] as const) {
      const one = model(own);
      const call = () => scope(() => void one.loss(batch as never));
      expect(call).toThrow(named);
      one.dispose();
    }
    const both = new EncoderDecoder(readConfig({ ...base, kind: 'encoder-decoder' }));
    both.initialise({ device: on.device, seed: 1 });
    for (const [batch, named] of [
      [pair, 'source'],
      [{ ...pair, source: tokens, lengths: [8] }, 'lengths'],
      [{ ...pair, source: tokens, sourceLengths: [8] }, 'lengths'],
    ] as const) {
      expect(() => scope(() => void both.loss(batch as never))).toThrow(named);
    }
    both.dispose();
    const one = model({});
    expect(() => scope(() => void one.loss({ tokens } as never))).toThrow(OptionError);
    one.dispose();
    tokens.dispose();
  });
});
