import { describe, expect, test } from 'vitest';
import { byteTokeniser } from '../../src/data/index.js';
import { OptionError } from '../../src/core/errors.js';
import {
  beamSearch,
  createModel,
  generate,
  generateRows,
  generateText,
  openSession,
  readConfig,
  sample,
  type Transformer,
} from '../../src/models/index.js';
import { Penalties } from '../../src/models/penalties.js';
import { StopStrings } from '../../src/models/stop-strings.js';
import { scope, tensor } from '../../src/tensor/index.js';
import type { Device } from '../../src/devices/index.js';
import { fill } from '../nn/check.js';
import { double, single } from '../oracles/arithmetic.js';
import { Graph } from '../oracles/graph.js';
import { budgetOf, expectClose } from '../support/compare.js';
import { onWebAssemblyFirst } from '../support/devices.js';
import { numbersOf, ORDERS, parametersOf } from './check.js';
import { ModelOracle } from './oracle.js';

test('minP keeps tokens of a share of the likeliest, after topP', () => {
  const logits = [Math.log(0.1), Math.log(0.4), Math.log(0.3), Math.log(0.2)];
  // 0.2 is half of 0.4
  expect([0.44, 0.45, 0.999].map((u) => sample(logits, { minP: 0.5 }, u))).toEqual([1, 2, 3]);
  expect(sample(logits, { minP: 0.51 }, 0.999)).toBe(2);
  expect(sample(logits, { minP: 1 }, 0.999)).toBe(1);
  expect(sample(logits, { minP: 0.01, topP: 0.4 }, 0.999)).toBe(1);
  expect(() => sample(logits, { minP: 2 }, 0)).toThrow('minP must be a number from 0 to 1; got 2');
});

test('penalties: as their papers, of what is in the text', () => {
  const text = new Penalties([0, 1], { repetitionPenalty: 2, presencePenalty: 0.5, frequencyPenalty: 0.25 });
  text.add(3);
  text.add(3);
  expect([...text.of(Float32Array.of(4, -4, 4, 4))]).toEqual([2, -8, 4, 2 - 0.5 - 2 * 0.25]);
  const logits = Float32Array.of(1, 2);
  expect(new Penalties([0], {}).of(logits)).toBe(logits);
});

test('a text ends before the first of its stop strings, and holds back no more than it must', () => {
  const pushed = (stops: readonly string[], pieces: readonly string[]): [string[], string, string | undefined] => {
    const strings = new StopStrings(stops);
    const out = pieces.map((piece) => strings.push(piece));
    return [out, strings.end(), strings.stopped];
  };
  expect(pushed(['END'], ['ab', 'E', 'N', 'x', 'EN', 'D', 'y'])).toEqual([
    ['ab', '', '', 'ENx', '', '', ''],
    '',
    'END',
  ]);
  expect(pushed(['aab'], ['a', 'a', 'a', 'b'])).toEqual([['', '', 'a', ''], '', 'aab']);
  expect(pushed(['b', 'ab'], ['xab'])).toEqual([['x'], '', 'ab']);
  expect(pushed(['zz'], ['a', 'z'])).toEqual([['a', ''], 'z', undefined]);
  expect(pushed([], ['a'])).toEqual([['a'], '', undefined]);
});

const length = 24;
function made(device: Device, vocabulary: number): Transformer {
  const model = createModel(readConfig({ vocabulary, length, layers: 1, width: 8, heads: 2 })) as Transformer;
  fill(model, device, 7);
  return model;
}

/** Logarithms of the probabilities of the token after each text, from logits of the whole of it. */
async function logsAfter(model: Transformer, device: Device, text: readonly number[]): Promise<number[]> {
  const logits = await scope(() => model.logits(tensor(Int32Array.from(text), [1, text.length], { device })).data());
  const own = Array.from(logits.slice(-model.vocabulary));
  const total = Math.log(own.reduce((sum, x) => sum + Math.exp(x), 0));
  return own.map((x) => x - total);
}

describe('generation', () => {
  onWebAssemblyFirst((on) => {
    const collect = async <T>(from: AsyncIterable<T>): Promise<T[]> => {
      const all: T[] = [];
      for await (const one of from) all.push(one);
      return all;
    };

    test('rows end by tokens of their own; a signal ends all', async () => {
      const model = made(on.device, 5);
      const prompts = [[1], [2], [3]];
      const options = { prompts, tokens: 12, seed: [1, 2, 3] };
      const open = () => openSession(model, { maxLength: length, rows: 3 });
      const all = async (own: object): Promise<number[][]> => {
        const session = open();
        const rows = await collect(generateRows(session, { ...options, ...own }));
        session.dispose();
        return rows.map((row) => [...row]);
      };
      const free = await all({});
      const stopped = await all({ stopTokens: [2] });
      for (const row of [0, 1, 2]) {
        const end = free.findIndex((drawn) => drawn[row] === 2);
        const want = free.map((drawn, i) => (end >= 0 && i > end ? -1 : drawn[row]!)).slice(0, stopped.length);
        expect(stopped.map((drawn) => drawn[row])).toEqual(want);
      }
      expect(stopped.some((drawn) => drawn.includes(-1))).toBe(true);
      const once = await all({ until: () => true });
      expect(once).toEqual(free.slice(0, 1));
      const repeating = await all({ temperature: 0 });
      expect(await all({ temperature: 0, presencePenalty: 1e6 })).not.toEqual(repeating);
      const controller = new AbortController();
      const session = open();
      const rows = generateRows(session, { ...options, signal: controller.signal });
      await rows.next();
      controller.abort(new Error('enough'));
      await expect(rows.next()).rejects.toThrow('enough');
      session.dispose();
      model.dispose();
    });

    test('text comes in whole characters, up to a stop string or a token', async () => {
      const model = made(on.device, 256);
      // tokens that a text is made of, whatever the model makes of it
      const text = 'naïve — END of it';
      const session = openSession(model, { maxLength: 64 });
      const bytes = [...new TextEncoder().encode(text)];
      const step = session.step.bind(session);
      let at = 0;
      session.step = (tokens) => {
        step(tokens).dispose();
        const logits = new Float32Array(256).fill(-50);
        logits[bytes[at++ % bytes.length]!] = 50;
        return tensor(logits, [256], { device: on.device });
      };
      const run = async (own: object): Promise<readonly [string[], unknown]> => {
        at = 0;
        session.reset();
        const pieces = generateText(session, { tokeniser: byteTokeniser, prompt: 'x', tokens: bytes.length, ...own });
        const got: string[] = [];
        for (;;) {
          const next = await pieces.next();
          if (next.done) return [got, next.value];
          got.push(next.value);
        }
      };
      const [pieces, end] = await run({});
      expect(pieces).toEqual([...text]);
      expect(end).toEqual({ by: 'length', tokens: bytes.length });
      const [stopped, by] = await run({ stop: ['zzz', 'END'] });
      expect(stopped.join('')).toBe('naïve — ');
      expect(by).toEqual({ by: 'string', string: 'END', tokens: bytes.indexOf(68) + 1 });
      expect((await run({ stopTokens: [118] }))[0].join('')).toBe('naï');
      await expect(run({ stop: [''] })).rejects.toThrow(OptionError);
      await expect(run({ prompt: '' })).rejects.toThrow('at least one token');
      session.dispose();
      model.dispose();
    });

    test('one beam is the likeliest token each time', async () => {
      const model = made(on.device, 5);
      const session = openSession(model, { maxLength: length });
      const [best] = await beamSearch(session, { prompt: [1, 2], tokens: 6, beams: 1 });
      const other = openSession(model, { maxLength: length });
      expect(best!.tokens).toEqual(await collect(generate(other, { prompt: [1, 2], tokens: 6, temperature: 0 })));
      // the session is at the end of the prompt
      expect(session.length).toBe(2);
      for (const one of [session, other, model]) one.dispose();
    });

    test.each([
      { lengthPenalty: 1, stopTokens: [0] },
      { lengthPenalty: 0, stopTokens: [0, 2] },
      { lengthPenalty: 2.5, stopTokens: [1] },
      { lengthPenalty: -1, stopTokens: [] },
    ])('many beams find the best of all texts: %j', async ({ lengthPenalty, stopTokens }) => {
      const model = made(on.device, 3);
      const [tokens, prompt] = [4, [1, 0]];
      const numbers = await numbersOf(model);
      const scoreIn = (g: Graph): ((own: readonly number[]) => number) => {
        const oracle = new ModelOracle(g, model.config, parametersOf(g, model, numbers));
        return (own) => {
          const logs = g.log(g.softmax(oracle.logitsAt(oracle.hidden([...prompt, ...own]))));
          const sum = own.reduce((total, token, i) => g.round(total + logs.at(prompt.length - 1 + i, token)), 0);
          return g.round(sum / g.round(own.length ** lengthPenalty));
        };
      };
      const exact = scoreIn(new Graph(double));
      const ends = (own: readonly number[]): boolean => stopTokens.includes(own.at(-1)!);
      const from = (own: readonly number[]): (readonly number[])[] =>
        ends(own) || own.length === tokens ? [own] : [0, 1, 2].flatMap((token) => from([...own, token]));
      const all = from([]).map((own) => ({ tokens: own, score: exact(own) }));
      all.sort((a, b) => b.score - a.score);
      const session = openSession(model, { maxLength: length });
      const found = await beamSearch(session, { prompt, tokens, beams: 81, lengthPenalty, stopTokens, results: 5 });
      const best = all.slice(0, 5);
      expect(found.map((beam) => beam.tokens)).toEqual(best.map((text) => text.tokens));
      expect(found.map((beam) => beam.ended)).toEqual(best.map((text) => ends(text.tokens)));
      const scores = best.map(({ score }) => score);
      const budgets = Array.from({ length: ORDERS }, (_, order) => {
        const plain = scoreIn(new Graph(single, order));
        return budgetOf(
          scores,
          best.map((text) => plain(text.tokens)),
        );
      });
      expectClose(
        'scores',
        found.map(({ score }) => score),
        scores,
        { budget: Math.max(...budgets) },
      );
      session.dispose();
      model.dispose();
    });

    test('few beams go on with the likeliest of each length, as searched by hand', async () => {
      const model = made(on.device, 6);
      const [tokens, prompt, beams] = [5, [3], 3];
      let live: { own: number[]; sum: number }[] = [{ own: [], sum: 0 }];
      for (let i = 0; i < tokens; i++) {
        const next: typeof live = [];
        for (const { own, sum } of live) {
          const logs = await logsAfter(model, on.device, [...prompt, ...own]);
          logs.forEach((log, token) => next.push({ own: [...own, token], sum: sum + log }));
        }
        live = next.sort((a, b) => b.sum - a.sum).slice(0, beams);
      }
      const session = openSession(model, { maxLength: length });
      const found = await beamSearch(session, { prompt, tokens, beams, results: 3 });
      expect(found.map((beam) => beam.tokens)).toEqual(live.map(({ own }) => own));
      const early = { prompt, tokens: 8, beams, stopTokens: [0, 1, 2], earlyStopping: true };
      session.reset();
      expect((await beamSearch(session, early)).length).toBe(1);
      await expect(beamSearch(session, { ...early, results: 4 })).rejects.toThrow('results must be at most beams');
      for (const one of [session, model]) one.dispose();
    });

    test('of equal texts the first tokens come first', async () => {
      const model = made(on.device, 4);
      for (const parameter of model.namedParameters().values()) {
        const zeros = tensor(new Float32Array(parameter.value.size), parameter.spec.shape, { device: on.device });
        parameter.set(zeros);
        zeros.dispose();
      }
      const session = openSession(model, { maxLength: length });
      const found = await beamSearch(session, { prompt: [2], tokens: 2, beams: 3, results: 3 });
      expect(found.map(({ tokens }) => tokens)).toEqual([
        [0, 0],
        [0, 1],
        [0, 2],
      ]);
      for (const one of [session, model]) one.dispose();
    });
  });
});
