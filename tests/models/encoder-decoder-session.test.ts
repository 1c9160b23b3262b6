import { describe, expect, test } from 'vitest';
import { FormatError, OptionError } from '../../src/core/errors.js';
import {
  createModel,
  generateRows,
  openSession,
  readConfig,
  type EncoderDecoder,
  type TextSession,
} from '../../src/models/index.js';
import { disposeAll, liveTensors, noGradient, scope } from '../../src/tensor/index.js';
import { fill } from '../nn/check.js';
import { budgetOf, expectClose, expectSameBits } from '../support/compare.js';
import { fewNatively, onEveryDevice } from '../support/devices.js';
import { exactly, parametersOf, tokensOf } from './check.js';
import { checkGreedyPairs } from '../pretrained/greedy-pairs.js';
import { decoderBehind } from './cross-oracle.js';

const vocabulary = 11;
const maxLength = 12;
const base = {
  kind: 'encoder-decoder',
  vocabulary,
  length: maxLength,
  layers: 1,
  width: 8,
  heads: 2,
  feedForward: { hidden: 12 },
};
/** Two of one source, one of the same length, and one that is shorter. */
const sources = [
  [3, 1, 4, 1, 5, 9],
  [2, 7, 1],
  [3, 1, 4, 1, 5, 9],
  [2, 6, 5, 3, 5, 8],
];
const texts = [
  [0, 1, 2, 3, 4, 5, 6],
  [0, 9, 8, 7, 6, 5, 4],
  [0, 2, 4, 6, 8, 10, 1],
  [0, 3, 6, 9, 1, 4, 7],
];
/** Tokens of the first step. */
const prompts = [3, 1, 1, 2];

const cases: readonly (readonly [name: string, config: object])[] = [
  ['t5, grouped heads', { position: 't5', heads: 4, kvHeads: 2 }],
  [
    'a decoder of its own, learned positions, post-norm',
    {
      position: 'learned',
      bias: true,
      tied: false,
      mechanism: { name: 'sliding-window', options: { radius: 2 } },
      norm: { kind: 'layer', place: 'post' },
      decoder: { layers: 2, heads: 1, mechanism: 'flash' },
    },
  ],
];

const numbersOf = async (session: TextSession, tokens: readonly number[][]): Promise<Float32Array> => {
  const logits = session.step(tokens);
  const numbers = (await logits.data()) as Float32Array;
  logits.dispose();
  return numbers;
};
const rowOf = (numbers: Float32Array, row: number): Float32Array =>
  numbers.subarray(row * vocabulary, (row + 1) * vocabulary);

onEveryDevice((on) => {
  const modelOf = (config: object) => {
    const model = createModel(readConfig({ ...base, ...config }));
    const numbers = fill(model, on.device, 5);
    return { model, numbers, config: readConfig({ ...base, ...config }) };
  };

  describe('a session of an encoder–decoder', () => {
    test.each(fewNatively(on.kind, cases, 1))('%s: each step gives what the whole pass gives', async (name, own) => {
      const { model, numbers, config } = modelOf(own);
      const whole = texts.map((text, row) =>
        exactly((g) => {
          const decoder = decoderBehind(g, config, parametersOf(g, model, numbers), sources[row]!);
          return decoder.logitsAt(decoder.hidden(text));
        }),
      );
      const budget = Math.max(...whole.map((one) => one.budget));
      const session = openSession(model, { maxLength, rows: 4, sources });
      const compare = (what: string, got: Float32Array, row: number, i: number, at = row): void => {
        const exact = Array.from(whole[row]!.exact).slice(i * vocabulary, (i + 1) * vocabulary);
        expectClose(`${name}: ${what}, row ${row}, token ${i}`, rowOf(got, at), exact, { budget });
      };
      for (let step = 0; step < 4; step++) {
        const ends = prompts.map((prompt) => prompt + step);
        const next = texts.map((text, row) => text.slice(step === 0 ? 0 : ends[row]! - 1, ends[row]));
        const got = await numbersOf(session, next);
        ends.forEach((end, row) => compare('step', got, row, end - 1));
      }
      // beams of three sources, then back, then on
      const order = [2, 0, 0, 3, 1, 0];
      const fork = session.fork(order);
      const next = order.map((row) => texts[row]!.slice(prompts[row]! + 3, prompts[row]! + 4));
      const forked = await numbersOf(fork, next);
      order.forEach((row, at) => compare('fork', forked, row, prompts[row]! + 3, at));
      session.truncate([1, 1, 1, 1]);
      const again = await numbersOf(
        session,
        texts.map((text) => text.slice(1, 3)),
      );
      texts.forEach((_, row) => compare('truncated', again, row, 2));
      session.reset();
      const afresh = await numbersOf(
        session,
        texts.map((text) => text.slice(0, 1)),
      );
      texts.forEach((_, row) => compare('afresh', afresh, row, 0));
      // the fork outlives what it was forked from
      session.dispose();
      fork.truncate(fork.lengths.map((length) => length - 1));
      expectSameBits('without the other', await numbersOf(fork, next), forked);
      fork.dispose();
      model.dispose();
    });
  });

  if (on.kind === 'native') return;

  describe('a session of an encoder–decoder, kept and refused', () => {
    test('what was exported goes on in another session, whatever source that had', async () => {
      const { model } = modelOf(cases[0]![1]);
      const session = openSession(model, { maxLength, rows: 4, sources });
      await numbersOf(
        session,
        texts.map((text, row) => text.slice(0, prompts[row])),
      );
      const state = await session.export();
      JSON.parse(JSON.stringify(state.header));
      const next = [[1], [2], [3], [4]];
      const want = await numbersOf(session, next);
      for (const options of [{ sources: [[1], [1], [1], [2]] }, {}]) {
        const other = openSession(model, { maxLength, rows: 4, ...options });
        await other.import(state);
        expectSameBits('imported', await numbersOf(other, next), want);
        other.dispose();
      }
      const broken = new Map(state.tensors);
      broken.delete('sources.1.0.v');
      const other = openSession(model, { maxLength, rows: 4 });
      await expect(other.import({ header: state.header, tensors: broken })).rejects.toThrow(FormatError);
      await expect(other.import({ header: state.header, tensors: broken })).rejects.toThrow(
        "the state's sources do not fit: sources.1.0.v must be f32[1 or more,2,S,2]; got none",
      );
      const { sources: _, ...header } = state.header;
      await expect(other.import({ header, tensors: state.tensors })).rejects.toThrow(FormatError);
      // nothing was taken in
      expect(other.lengths).toEqual([0, 0, 0, 0]);
      disposeAll(state);
      for (const one of [session, other, model]) one.dispose();
    });

    test('what cannot be is refused', () => {
      const { model } = modelOf({});
      const refused = (make: () => unknown, message: string): void => {
        const live = liveTensors();
        expect(make).toThrow(OptionError);
        expect(make).toThrow(message);
        expect(liveTensors()).toBe(live);
      };
      const open = (own: object) => () => openSession(model, { maxLength, ...own });
      refused(open({ sources: [[1], [2]] }), 'the tokens that each of its 1 rows follows; got 2 lists');
      refused(open({ sources: 7 }), 'got another value');
      refused(open({ sources: [[]] }), 'session: sources: must be a list of at least one token');
      refused(open({ rows: 2, sources: [[1], [11]] }), 'session: sources: row 1: tokens must be whole numbers');
      const session = openSession(model, { maxLength });
      refused(() => session.step([1]), 'open the session with sources');
      session.dispose();
      const decoder = createModel(readConfig({ ...base, kind: 'decoder' })).initialise({ device: on.device, seed: 1 });
      refused(() => openSession(decoder, { maxLength, sources: [[1]] }), 'sources are for an encoder–decoder');
      decoder.dispose();
      model.dispose();
    });

    test('norms of queries and keys, and sinks, are those of the whole pass', async () => {
      const { model } = modelOf({ attention: { scale: 1, queryKeyNorm: 'all', sinks: true, softcap: 3 } });
      const session = openSession(model, { maxLength, rows: 2, sources: [sources[0]!, sources[0]!] });
      const got = await numbersOf(session, [texts[0]!, texts[1]!]);
      const logits = noGradient(() =>
        scope(() =>
          (model as EncoderDecoder).logits(
            tokensOf(on.device, [...sources[0]!, ...sources[0]!], 2),
            tokensOf(on.device, [...texts[0]!, ...texts[1]!], 2),
          ),
        ),
      );
      const whole = (await logits.data()) as Float32Array;
      const last = [6, 13].flatMap((row) => [...rowOf(whole, row)]);
      // two ways to sum the same numbers
      expectClose('last tokens', got, last, { budget: 64 * budgetOf(last) });
      for (const one of [session, logits, model]) one.dispose();
    });

    test('reads sources with their own global tokens', async () => {
      const mechanism = { name: 'longformer', options: { radius: 1 } };
      const { model } = modelOf({ position: 'learned', mechanism, decoder: { mechanism: 'flash' } });
      const sourceGlobals = [[0], [1], [0, 3], []];
      const pair = model as EncoderDecoder;
      await checkGreedyPairs(pair, { device: on.device, sources, start: 0, count: 6, sourceGlobals });
      // rows 0 and 2 have one source, and other global tokens
      const session = openSession(model, { maxLength, rows: 4, sources, sourceGlobals });
      const numbers = await numbersOf(session, [[1], [1], [1], [1]]);
      expect(rowOf(numbers, 0)).not.toEqual(rowOf(numbers, 2));
      session.dispose();
      expect(() => openSession(model, { maxLength, rows: 4, sources, sourceGlobals: [[0]] })).toThrow(
        'a list of positions for each source; got 1 for 4 sources',
      );
      model.dispose();
    });

    test('generates rows of several sources', async () => {
      const { model } = modelOf(cases[0]![1]);
      const generated = async (own: readonly number[]): Promise<number[][]> => {
        const session = openSession(model, {
          maxLength,
          rows: own.length,
          sources: own.map((row) => sources[row]!),
        });
        const rows: number[][] = own.map(() => []);
        const prompts = own.map(() => [0]);
        for await (const tokens of generateRows(session, { prompts, tokens: 6, temperature: 0 })) {
          tokens.forEach((token, i) => rows[i]!.push(token));
        }
        session.dispose();
        return rows;
      };
      const together = await generated([0, 1, 2, 3]);
      expect(together[2]).toEqual(together[0]);
      for (const row of [0, 1, 3]) expect(await generated([row])).toEqual([together[row]]);
      model.dispose();
    });
  });
});
