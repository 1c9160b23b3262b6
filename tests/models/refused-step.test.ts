import { describe, expect, test, vi } from 'vitest';
import { flash, longformer, mechanism, type AnyOptions, type Mechanism } from '../../src/attention/index.js';
import { OptionError } from '../../src/core/errors.js';
import type { Device } from '../../src/devices/index.js';
import {
  createModel,
  EncoderDecoder,
  openSession,
  readConfig,
  type LanguageModel,
  type SessionOptions,
} from '../../src/models/index.js';
import { alibi } from '../../src/scores/index.js';
import { liveTensors, scope, tensor, type Tensor } from '../../src/tensor/index.js';
import { fill } from '../nn/check.js';
import { expectSameBits } from '../support/compare.js';
import { fewNatively, onEveryDevice } from '../support/devices.js';
import { normal } from '../support/random.js';

const vocabulary = 61;
// beyond what goes through the layers at a time
const [maxLength, long] = [700, 600];
const base = { vocabulary, length: maxLength, layers: 2, width: 8, heads: 2 };
const text = Int32Array.from({ length: long }, (_, i) => (i * i * 31 + i * 7) % vocabulary);
const withBad = (bad: unknown): ArrayLike<number> => {
  const list: unknown[] = [...text];
  list[550] = bad;
  return list as number[];
};

/** What is no list of tokens, and why. */
const none: readonly (readonly [tokens: unknown, why: string])[] = [
  ...[vocabulary, -1, 1.5, NaN, Infinity, 2 ** 32 + 5, '7', 7n, null, undefined, true, [7], {}].map(
    (bad) => [withBad(bad), 'as number 550 of 600'] as const,
  ),
  [[1.5], 'got 1.5 as number 0 of 1'],
  [Float32Array.of(3.5), 'got 3.5'],
  [['7'], 'got a value of type string'],
  [new BigInt64Array(1), 'got a value of type bigint'],
  ...[[], 7, '7', null, undefined, {}, { length: 2.5 }, { length: NaN }, { length: '3' }].map(
    (bad) => [bad, 'list of at least one token'] as const,
  ),
  [{ length: 2 }, 'got a value of type undefined'],
  [{ length: 2 ** 40 }, 'exceed its maxLength of 700'],
  [new Int32Array(maxLength + 1), 'exceed its maxLength of 700'],
];

type Case = readonly [what: string, config: object, options: Partial<SessionOptions>];
const cases: readonly Case[] = [
  ['decoder', {}, {}],
  ['transformer-xl', { kind: 'transformer-xl', length: 256, memory: { length: 300 } }, {}],
  ['compressive-transformer', { kind: 'compressive-transformer', length: 256, memory: { length: 40 } }, {}],
  ['ring', { position: 'alibi' }, { cache: 'ring', window: 5 }],
  ['sinks', {}, { cache: 'sink', window: 5, sinks: 2 }],
  ['recurrence', { mechanism: 'linear-transformer' }, {}],
  ['keys that are copied', { mechanism: { name: 'longformer', options: { radius: 3 } } }, {}],
];

const logitsOf = async (logits: Tensor): Promise<Float32Array> => {
  const numbers = (await logits.data()) as Float32Array;
  logits.dispose();
  return numbers;
};

/** Memory that ends at the n-th allocation. */
async function withoutMemory(device: Device, n: number, act: () => unknown): Promise<boolean> {
  let left = n;
  const allocate = device.allocate.bind(device);
  const spy = vi.spyOn(device, 'allocate').mockImplementation((...given) => {
    if (left-- === 0) throw new OptionError('no memory');
    return allocate(...given);
  });
  try {
    act();
    return false;
  } catch (error) {
    expect(String(error)).toContain('no memory');
    return true;
  } finally {
    spy.mockRestore();
  }
}

describe('a step that is refused leaves nothing behind', () => {
  onEveryDevice((on) => {
    const open = (
      config: object,
      options: Partial<SessionOptions>,
    ): { model: LanguageModel } & Record<'session' | 'other', ReturnType<typeof openSession>> => {
      const model = createModel(readConfig({ ...base, ...config }));
      fill(model, on.device, 5);
      const [session, other] = [0, 1].map(() => openSession(model, { maxLength, ...options }));
      return { model, session: session!, other: other! };
    };

    test.each(fewNatively(on.kind, cases, 1))('%s: tokens that are none', async (_, config, options) => {
      const { model, session, other } = open(config, options);
      for (const start of [0, 9]) {
        for (const one of start === 0 ? [] : [session, other]) one.step(text.subarray(0, start)).dispose();
        const before = { bytes: on.device.ledger.live(), tensors: liveTensors() };
        for (const [tokens, why] of none) {
          const step = (): unknown => session.step(tokens as number[]);
          expect(step, String(tokens)).toThrow(OptionError);
          expect(step).toThrow(why);
        }
        expect(session.length).toBe(start);
        expect({ bytes: on.device.ledger.live(), tensors: liveTensors() }).toEqual(before);
      }
      const next = async (one: typeof session): Promise<Float32Array> => logitsOf(one.step(text.subarray(9, 14)));
      expectSameBits('the next tokens', await next(session), await next(other));
      for (const one of [session, other, model]) one.dispose();
      expect(() => session.step([1])).toThrow('was disposed');
    });

    test.each(on.kind === 'native' ? [] : cases)('%s: memory that ends half way', async (_, config, options) => {
      const { model, session, other } = open(config, options);
      // one piece at a time would not show that what went before is given up
      const prompt = text.subarray(0, 530);
      for (const [past, tokens] of [
        [0, prompt],
        [530, text.subarray(530, 531)],
      ] as const) {
        const want = await logitsOf(other.step(tokens));
        let failed = 0;
        for (let n = 0; ; n += past === 0 ? 41 : 7) {
          const tensors = liveTensors();
          if (!(await withoutMemory(on.device, n, () => session.step(tokens).dispose()))) break;
          failed++;
          expect(session.length, `after allocation ${n}`).toBe(past);
          expect(past === 0 || liveTensors() === tensors).toBe(true);
          // what cannot be as it was says so, and never goes on with less
          let got: Tensor;
          try {
            got = session.step(tokens);
          } catch (error) {
            expect(String(error)).toContain('reset()');
            session.reset();
            if (past > 0) session.step(prompt).dispose();
            got = session.step(tokens);
          }
          expectSameBits(`after allocation ${n}`, await logitsOf(got), want);
          session.reset();
          if (past > 0) session.step(prompt).dispose();
        }
        expect(failed).toBeGreaterThan(1);
        if (past === 0) {
          session.reset();
          session.step(prompt).dispose();
        }
      }
      for (const one of [session, other, model]) one.dispose();
    });

    const decoders: readonly (readonly [what: string, of: unknown, options: AnyOptions])[] = [
      ['all tokens', flash, { score: alibi() }],
      ['a ring', flash, { cache: 'ring', window: 3 }],
      ['sinks', flash, { cache: 'sink', window: 3, sinks: 1 }],
      ['copies', longformer, { radius: 2 }],
      ['a state', mechanism('performer'), { numFeatures: 8 }],
    ];
    test.each(fewNatively(on.kind, decoders, 1))('a decoder of %s: steps that do not fit', async (_, of, options) => {
      const { device } = on;
      const make = (heads: number, rows: number, columns = 4, seed = rows): Tensor =>
        tensor(normal(seed, heads * rows * columns), [1, heads, rows, columns], { device });
      const [decoder, other] = [0, 1].map(() => (of as Mechanism).decoder({ maxLength: 9, ...options }));
      for (const start of [0, 5]) {
        const tensors = liveTensors();
        const bytes = device.ledger.live();
        scope(() => {
          const x = make(2, 2);
          const gone = make(2, 2);
          gone.dispose();
          const whole = tensor(Int32Array.from({ length: 16 }), [1, 2, 2, 4], { device });
          const steps: readonly (readonly [unknown, unknown, unknown])[] = [
            [x, x, make(2, 3)],
            [x, make(2, 2, 3), x],
            [x, x, gone],
            [x, x, undefined],
            [x, x, [1]],
            [x, whole, x],
            [make(2, 10), make(2, 10), make(2, 10)],
          ];
          for (const step of steps) expect(() => decoder!.step(...(step as [Tensor, Tensor, Tensor]))).toThrow(/./);
        });
        expect(decoder!.length).toBe(start);
        expect({ tensors: liveTensors(), bytes: device.ledger.live() }).toEqual({ tensors, bytes });
        const next = async (one: typeof decoder): Promise<Float32Array> => {
          const { out, logsumexp } = scope(() =>
            one!.step(make(2, 5 - start / 5), make(2, 5 - start / 5, 4, 77), make(2, 5 - start / 5, 4, 78)),
          );
          logsumexp?.dispose();
          return logitsOf(out);
        };
        if (start === 0) expectSameBits('the first tokens', await next(decoder), await next(other));
        else expectSameBits('the next tokens', await next(decoder), await next(other));
      }
      decoder!.dispose();
      other!.dispose();
    });

    test('models: tokens, targets and lengths that are none', () => {
      const { device } = on;
      scope(() => {
        const both = new EncoderDecoder(readConfig({ ...base, kind: 'encoder-decoder', position: 'rope' }));
        const one = createModel(readConfig(base));
        for (const model of [both, one]) fill(model, device, 5);
        const of = (...tokens: number[]): Tensor => tensor(Int32Array.from(tokens), [1, tokens.length], { device });
        const [good, bad, short] = [of(1, 2, 3), of(1, vocabulary, 3), of(1, 2)];
        // angles are made once
        scope(() => void [both.logits(good, good), one.loss({ tokens: good, targets: good })]);
        const calls: readonly (() => unknown)[] = [
          () => both.logits(bad, good),
          () => both.logits(good, bad),
          () => both.logits(good, good, { sourceLengths: [1.5] }),
          () => both.logits(good, good, { sourceLengths: [NaN] }),
          () => both.logits(good, good, { sourceLengths: [4] }),
          () => both.logits(good, good, { sourceLengths: ['2'] as never }),
          () => both.loss({ source: good, tokens: good, targets: bad }),
          () => one.loss({ tokens: bad, targets: good }),
          () => one.loss({ tokens: good, targets: bad }),
          () => one.loss({ tokens: good, targets: short }),
        ];
        for (const [i, call] of calls.entries()) {
          const before = { bytes: device.ledger.live(), tensors: liveTensors() };
          expect(call, `call ${i}`).toThrow(/must be|got|elements/);
          expect({ bytes: device.ledger.live(), tensors: liveTensors() }, `call ${i}`).toEqual(before);
        }
        both.dispose();
        one.dispose();
      });
    });
  });
});
