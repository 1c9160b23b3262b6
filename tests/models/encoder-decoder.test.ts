import { describe, expect, it } from 'vitest';
import { CapabilityError } from '../../src/core/errors.js';
import { registerMechanism } from '../../src/attention/index.js';
import { createNextTokenModel } from '../../src/models/create.js';
import { createModel, EncoderDecoder, readConfig } from '../../src/models/index.js';
import { disposeAll, gradients, noGradient, scope, type Tensor } from '../../src/tensor/index.js';
import { centred } from '../attention/centred.js';
import { fill } from '../nn/check.js';
import { expectClose, expectSameBits } from '../support/compare.js';
import { fewNatively, onEveryDevice } from '../support/devices.js';
import { checkModel, exactly, parametersOf, tokensOf } from './check.js';
import { decoderBehind } from './cross-oracle.js';

const source = [2, 7, 1, 8, 2, 8, 1];
const tokens = [3, 1, 4, 1, 5];
const targets = [1, 4, 1, 5, 9];
const base = {
  kind: 'encoder-decoder',
  vocabulary: 10,
  length: 7,
  layers: 2,
  width: 8,
  heads: 2,
  feedForward: { hidden: 10 },
};

const models: readonly (readonly [name: string, config: Record<string, unknown>])[] = [
  ['rope', {}],
  [
    'as in the first paper: post-norm, layer norm, sinusoidal, biases, ReLU',
    {
      norm: { place: 'post', kind: 'layer' },
      position: 'sinusoidal',
      bias: true,
      feedForward: { hidden: 10, activation: 'relu' },
    },
  ],
  ['t5, grouped heads, another head than the table', { position: 't5', kvHeads: 1, tied: false }],
  ['learned, computed again', { position: 'learned', residual: 'checkpointed' }],
  [
    'a decoder of its own',
    {
      position: 'learned',
      bias: true,
      pattern: [{ mechanism: { name: 'sliding-window', options: { radius: 1 } } }, {}],
      decoder: {
        layers: 1,
        length: 5,
        heads: 1,
        headDim: 4,
        mechanism: 'flash',
        norm: { place: 'post' },
        feedForward: { hidden: 6, gated: true, activation: 'silu' },
      },
    },
  ],
];

const modelOf = (own: Record<string, unknown> = {}): EncoderDecoder =>
  new EncoderDecoder(readConfig({ ...base, ...own }));

onEveryDevice((on) => {
  describe('EncoderDecoder', () => {
    it.each(fewNatively(on.kind, models))(
      '%s: the loss and all gradients are those of the formula',
      async (name, own) => {
        const model = modelOf(own);
        await checkModel(on.device, {
          name,
          module: model,
          weights: [1],
          run: () => {
            const [from, to, of] = [source, tokens, targets].map((all) => tokensOf(on.device, all)) as [
              Tensor,
              Tensor,
              Tensor,
            ];
            return [model.loss({ source: from, tokens: to, targets: of }).loss];
          },
          oracle: (g, parameter) => {
            return [decoderBehind(g, model.config, parameter, source).loss(tokens, targets)];
          },
        });
        model.dispose();
      },
    );

    it.each(fewNatively(on.kind, ['rope', 't5', 'sinusoidal'], 1))(
      'padding of a source is as if it were not there: %s',
      async (position) => {
        const model = modelOf({ position });
        const numbers = fill(model, on.device, 7);
        const short = source.slice(0, 3);
        const logits = noGradient(() =>
          scope(() => {
            const padded = tokensOf(on.device, [...source, ...short, 0, 9, 0, 0], 2);
            return model.logits(padded, tokensOf(on.device, [...tokens, ...targets], 2), { sourceLengths: [7, 3] });
          }),
        );
        const { exact, budget } = exactly((g) => {
          const parameter = parametersOf(g, model, numbers);
          const rows = [
            [source, tokens],
            [short, targets],
          ].map(([from, to]) => {
            const decoder = decoderBehind(g, model.config, parameter, from!);
            return decoder.logitsAt(decoder.hidden(to!));
          });
          return g.concatRows(rows);
        });
        expectClose(position, await logits.data(), exact, { budget });
        logits.dispose();
        model.dispose();
      },
    );

    it('the decoder does not see later tokens, and sees all of the source', async () => {
      const model = modelOf();
      fill(model, on.device, 7);
      const outs = noGradient(() =>
        [
          [source, tokens],
          [source, [...tokens.slice(0, 4), 0]],
          [[...source.slice(0, 6), 0], tokens],
        ].map(([from, to]) => scope(() => model.logits(tokensOf(on.device, from!), tokensOf(on.device, to!)))),
      );
      const [plain, later, other] = await Promise.all(outs.map((out) => out.data()));
      expectSameBits('earlier tokens', later!.slice(0, 40), plain!.slice(0, 40));
      expect(later!.slice(40)).not.toEqual(plain!.slice(40));
      expect(other!.slice(0, 10)).not.toEqual(plain!.slice(0, 10));
      disposeAll(outs);
      model.dispose();
    });

    it('no gradient flows from padding, and tokens without a target teach nothing', async () => {
      const model = modelOf({ tied: false });
      fill(model, on.device, 7);
      const found = scope(() => {
        const [from, to, of] = [
          [2, 7, 6, 6],
          [3, 1, 8],
          [1, 4, -100],
        ].map((all) => tokensOf(on.device, all)) as [Tensor, Tensor, Tensor];
        const { loss } = model.loss({ source: from, tokens: to, targets: of, sourceLengths: [2] });
        return gradients([loss], [model.stateDict().get('ends.embedding.weight')!])[0]!;
      });
      const rows = Array.from(await found.data());
      const moved = Array.from({ length: 10 }, (_, token) =>
        rows.slice(token * 8, (token + 1) * 8).some((x) => x !== 0),
      );
      expect(moved.flatMap((moves, token) => (moves ? [token] : []))).toEqual([1, 2, 3, 7]);
      found.dispose();
      model.dispose();
    });

    it('is what createModel gives for its kind, and no model of the next token', () => {
      expect(createModel(readConfig(base))).toBeInstanceOf(EncoderDecoder);
      for (const kind of ['encoder', 'encoder-decoder']) {
        expect(() => createNextTokenModel(readConfig({ ...base, kind }))).toThrow(CapabilityError);
      }
    });

    it('carries the states of both its parts, each by its name', async () => {
      const forget = registerMechanism(centred);
      const model = modelOf({ mechanism: 'centred', layers: 1 }).initialise({ device: on.device, seed: 1 });
      const batch = () => ({
        source: tokensOf(on.device, source),
        tokens: tokensOf(on.device, tokens),
        targets: tokensOf(on.device, targets),
      });
      const all = scope(() =>
        noGradient(() => {
          const first = model.loss(batch());
          const second = model.loss(batch(), { state: first.state });
          expect(Object.keys(second.state!)).toEqual(['encoder.last.0', 'decoder.last.0']);
          const half = { 'encoder.last.0': first.state!['encoder.last.0']! };
          expect(() => model.loss(batch(), { state: { 'last.0': half['encoder.last.0'] } })).toThrow(
            'a state is named by its part, such as encoder.last.0; got last.0',
          );
          expect(() => model.loss(batch(), { state: { 'encoder.last.1': half['encoder.last.0'] } })).toThrow(
            'of 1 layers',
          );
          return [first.loss, second.loss, model.loss(batch(), { state: half }).loss];
        }),
      );
      const numbers = await Promise.all(all.map((one) => one.item()));
      expect(new Set(numbers).size).toBe(3);
      disposeAll(all);
      model.dispose();
      forget();
    });
  });
});
