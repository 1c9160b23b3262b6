import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { CapabilityError, FormatError, OptionError } from '../../src/core/errors.js';
import type { Device } from '../../src/devices/index.js';
import {
  createModel,
  generate,
  generateRows,
  openSession,
  readConfig,
  type LanguageModel,
  type SessionOptions,
  type SessionState,
  type TextSession,
} from '../../src/models/index.js';
import { disposeAll, liveTensors, tensor } from '../../src/tensor/index.js';
import { loadCheckpoint, saveCheckpoint, sourceOf, type Json } from '../../src/train/checkpoint/index.js';
import { readTensors } from '../../src/train/read-tensors.js';
import { fill } from '../nn/check.js';
import { budgetOf, expectClose, expectSameBits } from '../support/compare.js';
import { fewNatively, onEveryDevice, openDevice } from '../support/devices.js';
import { uniform } from '../support/random.js';

const vocabulary = 13;
const maxLength = 32;
const base = { vocabulary, length: maxLength, layers: 2, width: 16, heads: 2 };
/** Prompts of three lengths, and what follows each. */
const prompts = [9, 3, 14];
const texts = prompts.map((_, row) => Array.from(uniform(3 + row, maxLength), (x) => Math.floor(6.5 * (x + 1))));
const after = 8;

const state = { name: 'mamba2', options: { heads: 4, headSize: 6, groups: 2, state: 5, kernel: 3 } };

type Case = readonly [what: string, config: object, options?: Partial<SessionOptions>];
const cases: readonly Case[] = [
  ['rope', {}],
  ['alibi, grouped heads', { position: 'alibi', kvHeads: 1 }],
  ['transformer-xl', { kind: 'transformer-xl', length: 8, memory: { length: 12 } }],
  ['t5', { position: 't5' }],
  ['sinusoidal', { position: 'sinusoidal' }],
  ['learned', { position: 'learned' }],
  [
    'layers apart, reversible',
    { residual: 'reversible', pattern: [{ position: 'alibi' }, { mechanism: 'linear-transformer' }] },
  ],
  ['a ring', { position: 'alibi' }, { cache: 'ring', window: 5 }],
  ['sinks', {}, { cache: 'sink', window: 3, sinks: 2 }],
  ['linear-transformer', { mechanism: 'linear-transformer', position: 'sinusoidal' }],
  ['performer', { mechanism: 'performer' }],
  ['strided', { mechanism: { name: 'strided', options: { stride: 3 } } }],
  [
    'longformer with globals',
    { mechanism: { name: 'longformer', options: { radius: 1, globals: [0, 1], dilations: [1, 2] } } },
  ],
  ['memory-compressed', { mechanism: 'memory-compressed' }],
  ['a state alone', { position: 'none', mixer: state, feedForward: 'none' }],
  ['a state and attention', { pattern: [{ mixer: state }, { position: 'alibi' }] }],
  ['long-short', { mechanism: { name: 'long-short-causal', options: { causalWindow: 3, chunkLength: 3 } } }],
  [
    'compressive-transformer',
    { kind: 'compressive-transformer', length: 8, memory: { length: 6, compressed: 4, ratio: 2 } },
  ],
];
/** Whose memory goes back, and whose does not. */
const goesBack = ([what]: Case): boolean =>
  !/a ring|sinks|-transformer|transformer-xl|performer|apart|a state/.test(what);

const numbersOf = async (
  session: TextSession,
  tokens: readonly number[] | readonly number[][],
): Promise<Float32Array> => {
  const logits = session.step(tokens);
  const numbers = (await logits.data()) as Float32Array;
  logits.dispose();
  return numbers;
};
const rowOf = (numbers: Float32Array, row: number): Float32Array =>
  numbers.subarray(row * vocabulary, (row + 1) * vocabulary);

describe('rows of a session', () => {
  onEveryDevice((on) => {
    const some = fewNatively(on.kind, cases, 3).map(([what, config, options = {}]) => [what, config, options] as const);
    const make = (config: object, device: Device = on.device, seed = 5): LanguageModel => {
      const model = createModel(readConfig({ ...base, ...config }));
      fill(model, device, seed);
      return model;
    };
    const open = (model: LanguageModel, options: object, rows?: number): TextSession =>
      openSession(model, { maxLength, ...(rows !== undefined && { rows }), ...options });

    /**
     * What rounding may make of it: twice what the ways to cut a text into steps differ by, all at once and token by token, and half a
     * unit in the last place for each of the five sums that make a logit: two of each layer, and the head.
     */
    const budgetFor = async (
      model: LanguageModel,
      options: object,
      want: readonly Float32Array[][],
    ): Promise<number> => {
      const budgets: number[] = [];
      for (const [row, n] of prompts.entries()) {
        const session = open(model, options);
        for (let i = 0; i < n; i++) await numbersOf(session, [texts[row]![i]!]);
        for (let i = 1; i <= after; i++) {
          budgets.push(budgetOf(await numbersOf(session, [texts[row]![n + i - 1]!]), want[row]![i]));
        }
        session.dispose();
        (await alone(model, options, row, true)).forEach((one, i) => budgets.push(budgetOf(one, want[row]![i])));
      }
      return Math.max(...budgets) + 4 * budgetOf(Float32Array.from(want.flat().flatMap((one) => [...one])));
    };

    /** Logits after the prompt of a row and after each token that follows, of a session of one row. */
    const alone = async (
      model: LanguageModel,
      options: object,
      row: number,
      whole = false,
    ): Promise<Float32Array[]> => {
      const session = open(model, options);
      const n = prompts[row]!;
      const out: Float32Array[] = [];
      for (let i = 0; i <= after; i++) {
        const next = texts[row]!.slice(i === 0 || whole ? 0 : n + i - 1, n + i);
        if (whole) session.reset();
        out.push(await numbersOf(session, next));
      }
      session.dispose();
      return out;
    };

    test.each(some)('%s: prompts of different lengths give what each gives alone', async (_, config, options) => {
      const model = make(config);
      const want: Float32Array[][] = [];
      for (const row of [0, 1, 2]) want.push(await alone(model, options, row));
      const budget = await budgetFor(model, options, want);
      const session = open(model, options, 3);
      for (let i = 0; i <= after; i++) {
        const next = texts.map((text, row) => text.slice(i === 0 ? 0 : prompts[row]! + i - 1, prompts[row]! + i));
        const got = await numbersOf(session, next);
        want.forEach((one, row) => expectClose(`token ${i} of row ${row}`, rowOf(got, row), one[i]!, { budget }));
      }
      expect(session.lengths).toEqual(prompts.map((n) => n + after));
      expect([session.rows, session.length]).toEqual([3, 14 + after]);
      // prompts of one length, from the start
      session.reset();
      expect(session.lengths).toEqual([0, 0, 0]);
      const got = await numbersOf(
        session,
        texts.map((text) => text.slice(0, 3)),
      );
      expectClose('row 1 afresh', rowOf(got, 1), want[1]![0]!, { budget });
      session.dispose();
      model.dispose();
    });

    test.each(some)('%s: forks go on apart; what is truncated was never there', async (...given) => {
      const [, config, options] = given;
      const model = make(config);
      const session = open(model, options, 2);
      await numbersOf(session, [texts[0]!.slice(0, 9), texts[1]!.slice(0, 4)]);
      const [fork, copy] = [session.fork([1, 0, 1]), session.fork()];
      expect([fork.lengths, copy.lengths]).toEqual([
        [4, 9, 4],
        [9, 4],
      ]);
      const forked = await numbersOf(fork, [
        [1, 2],
        [3, 4],
        [5, 6],
      ]);
      const own = await numbersOf(session, [
        [3, 4],
        [1, 2],
      ]);
      expectSameBits(
        'a copy',
        await numbersOf(copy, [
          [3, 4],
          [1, 2],
        ]),
        own,
      );
      const budget = budgetOf(own) * 64;
      expectClose('row 0 of the fork', rowOf(forked, 0), rowOf(own, 1), { budget });
      expectClose('row 1 of the fork', rowOf(forked, 1), rowOf(own, 0), { budget });
      expect(rowOf(forked, 2)).not.toEqual(rowOf(forked, 0));
      if (goesBack(given)) {
        session.truncate([9, 2]);
        fork.truncate(0);
        const other = open(model, options);
        await numbersOf(other, texts[1]!.slice(0, 2));
        const [got, want] = [await numbersOf(session, [[7], [8]]), await numbersOf(other, [8])];
        expectClose('truncated', rowOf(got, 1), want, { budget });
        expect([session.lengths, fork.lengths]).toEqual([
          [10, 3],
          [0, 0, 0],
        ]);
        other.dispose();
      } else {
        const before = { live: liveTensors(), bytes: on.device.ledger.live() };
        expect(() => session.truncate([11, 2])).toThrow(CapabilityError);
        expect(() => session.truncate([11, 2])).toThrow('fork() before the tokens that may be taken back');
        expect({ live: liveTensors(), bytes: on.device.ledger.live() }).toEqual(before);
        expect(session.lengths).toEqual([11, 6]);
        session.truncate([11, 0]);
        expect(session.lengths).toEqual([11, 0]);
      }
      for (const one of [session, fork, copy, model]) one.dispose();
    });

    test.each(some)(
      '%s: stored in a file, it goes on in another session, and on another device',
      async (_, config, options) => {
        const model = make(config);
        const session = open(model, options, 2);
        await numbersOf(session, [texts[0]!.slice(0, 9), texts[1]!.slice(0, 4)]);
        const state = await session.export();
        const folder = mkdtempSync(join(tmpdir(), 'subquad-test-'));
        const tensors = Object.fromEntries([...state.tensors].map(([name, x]) => [name, sourceOf(x)]));
        await saveCheckpoint(folder, { tensors, state: state.header as unknown as Json });
        disposeAll(state);
        const next = [
          [1, 2],
          [3, 4],
        ];
        const want = await numbersOf(session, next);
        const loaded = await loadCheckpoint(folder);
        const read = async (device: Device): Promise<SessionState> => ({
          header: loaded.state as unknown as SessionState['header'],
          tensors: await readTensors(loaded.tensors, { device }),
        });
        const there = await read(on.device);
        const other = open(model, options, 2);
        await numbersOf(other, [[9], [9, 9]]);
        await other.import(there);
        disposeAll(there);
        expectSameBits('another session', await numbersOf(other, next), want);
        for (const one of [session, other, model]) one.dispose();
        if (on.kind === 'native') {
          const elsewhere = (await openDevice('wasm', { threads: 1 }))!;
          const same = make(config, elsewhere);
          const far = open(same, options, 2);
          const here = await read(elsewhere);
          await far.import(here);
          disposeAll(here);
          expectClose('another device', await numbersOf(far, next), want, { budget: 64 * budgetOf(want) });
          far.dispose();
          same.dispose();
          await elsewhere.dispose();
        }
        await loaded.tensors.close();
      },
    );

    test('refuses tokens, rows and states that are not its own, and changes nothing', async () => {
      const { device } = on;
      const [model, trained, wider] = [make({}), make({}, device, 6), make({ width: 32 })];
      const xl = make({ kind: 'transformer-xl', length: 8, memory: { length: 12 } });
      const session = open(model, {}, 2);
      const memory = open(xl, {}, 2);
      for (const one of [session, memory]) await numbersOf(one, [[1, 2, 3], [1]]);
      const [state, segment] = [await session.export(), await memory.export()];
      const steps: readonly (readonly [tokens: unknown, why: string])[] = [
        [[1], 'takes a list of tokens for each of its 2 rows; got another value'],
        [[[1]], 'for each of its 2 rows; got 1 lists'],
        [[[1], [2], [3]], 'got 3 lists'],
        [[[1], []], 'session: row 1: a step takes a list of at least one token'],
        [[[1], 1], 'session: row 1: a step takes a list'],
        [[[1], [13]], 'session: row 1: tokens must be whole numbers from 0 to 12; got 13 as number 0 of 1'],
        [[new Int32Array(30), [1]], 'session: row 0: 3 tokens and 30 more exceed its maxLength of 32'],
        [null, 'for each of its 2 rows'],
      ];
      const changed = (header: object): SessionState => ({ ...state, header: { ...state.header, ...header } });
      const imports: readonly (readonly [of: () => TextSession, state: SessionState, why: string])[] = [
        [() => open(model, {}, 3), state, 'the state has 2 rows and the session 3; open one with rows: 2'],
        [() => open(trained, {}, 2), state, 'with other weights; load those that it was exported with'],
        [() => open(wider, {}, 2), state, 'of another model: width is 16 there and 32 here'],
        [() => open(model, { cache: 'ring', window: 4 }, 2), state, 'cache is "fixed" there and "ring" here'],
        [() => open(model, { maxLength: 2 }, 2), state, '3 tokens are more than the maxLength of 2'],
        [() => open(xl, {}, 2), state, 'kind is "decoder" there and "transformer-xl" here'],
        [() => open(xl, { maxLength: 2 }, 2), segment, '3 tokens are more than the maxLength of 2'],
        [() => open(model, {}, 2), segment, 'kind is "transformer-xl" there and "decoder" here'],
        [
          () => open(model, {}, 2),
          { ...state, tensors: new Map([...state.tensors].slice(1)) },
          '0.k must be f32[1,2,3,8]; got none',
        ],
        [
          () => open(xl, {}, 2),
          { ...segment, tensors: new Map([...segment.tensors].slice(1)) },
          '0.recent.0 must be f32[1,3,16]; got none',
        ],
        [() => open(model, {}, 2), changed({ version: 2 }), 'the state has version 2, and this one reads version 1'],
        [() => open(model, {}, 2), changed({ format: 'other' }), 'it is no state of a session'],
        [() => open(model, {}, 2), changed({ layers: [] }), 'the state has 0 layers and the model 2'],
        [() => open(model, {}, 2), changed({ lengths: 'none' }), 'the state has no lengths'],
      ];
      const held = () => ({ live: liveTensors(), bytes: device.ledger.live() });
      const before = held();
      for (const one of [session, memory]) {
        for (const [tokens, why] of steps) {
          expect(() => one.step(tokens as number[]), why).toThrow(OptionError);
          expect(() => one.step(tokens as number[])).toThrow(why);
        }
        expect(() => one.fork([2])).toThrow('fork: rows must be numbers of its 2 rows');
        expect(() => one.truncate(5)).toThrow('one for each row, of at most [3,1]; got 5');
        expect(one.lengths).toEqual([3, 1]);
      }
      for (const [of, given, why] of imports) {
        const one = of();
        await expect(one.import(given), why).rejects.toThrow(why);
        await expect(one.import(given)).rejects.toSatisfy((e) => e instanceof FormatError || e instanceof OptionError);
        expect(one.length).toBe(0);
        one.dispose();
      }
      const own = { ...state, tensors: new Map(state.tensors) };
      await expect(open(model, {}, 1).export()).rejects.toThrow('there are no tokens yet');
      const elsewhere = (await openDevice('wasm', { threads: 1 }))!;
      const stray = tensor([1], [1], { device: elsewhere });
      own.tensors.set('stray', stray);
      await expect(session.import(own)).rejects.toThrow('device');
      stray.dispose();
      await elsewhere.dispose();
      expect(held()).toEqual(before);
      disposeAll([state, segment]);
      for (const one of [session, memory, model, trained, wider, xl]) one.dispose();
      for (const gone of [() => session.fork(), () => session.truncate(0)]) expect(gone).toThrow('was disposed');
      await expect(memory.export()).rejects.toThrow('was disposed');
    });

    test('each row of generated texts is what its prompt and seed give alone', async () => {
      const model = make({});
      const own = { tokens: 9, temperature: 5 };
      const rows = [[1, 2, 3], [4], [4]];
      const seeds = [7, 7, 8];
      const session = open(model, {}, 3);
      const got: number[][] = [[], [], []];
      for await (const tokens of generateRows(session, { ...own, prompts: rows, seed: seeds }))
        tokens.forEach((token, row) => got[row]!.push(token));
      for (const row of [0, 1, 2]) {
        const one = open(model, {});
        const want: number[] = [];
        for await (const token of generate(one, { ...own, prompt: rows[row]!, seed: seeds[row]! })) want.push(token);
        expect(got[row]).toEqual(want);
        one.dispose();
      }
      expect(got[2]).not.toEqual(got[1]);
      await expect(generateRows(session, { ...own, prompts: [[1]] }).next()).rejects.toThrow(
        'the session has 3 rows; got 1 prompts',
      );
      await expect(generateRows(session, { ...own, prompts: rows, seed: [1] }).next()).rejects.toThrow('and 1 seeds');
      await expect(generateRows(session, { ...own, prompts: [[1], [], [1]] }).next()).rejects.toThrow(
        'every prompt must hold',
      );
      session.dispose();
      model.dispose();
    });
  });
});

test('a model says what sessions it offers', () => {
  const model = createModel(readConfig(base));
  const mine = { rows: 1 } as unknown as TextSession;
  const offering = Object.assign(Object.create(model) as LanguageModel, { session: () => mine });
  expect(openSession(offering, { maxLength: 3 })).toBe(mine);
  const without = Object.assign(Object.create(model) as LanguageModel, { session: undefined });
  expect(() => openSession(without, { maxLength: 3 })).toThrow('does not decode step by step: it has no session()');
  expect(() => openSession(model, { maxLength: 3, rows: 0 })).toThrow(
    'rows must be a whole number from 1 to 2^31 - 1; got 0',
  );
});
