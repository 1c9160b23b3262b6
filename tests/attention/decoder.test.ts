// of attention/call, attention/decode/{groups,open,options,ring,state}, ops/attend/cached

import { describe, expect, test } from 'vitest';
import {
  defineAttention,
  flash,
  globalTokens,
  integer,
  longformer,
  mechanism,
  slidingWindow,
  type AnyOptions,
  type DecoderOptions,
  type Mechanism,
} from '../../src/attention/index.js';
import { CapabilityError, OptionError, ShapeError } from '../../src/core/errors.js';
import type { Device } from '../../src/devices/device.js';
import { mask, within } from '../../src/masks/index.js';
import { cast } from '../../src/ops/cast.js';
import { rope } from '../../src/positions/index.js';
import { alibi, bias, score, t5Bias, type Score } from '../../src/scores/index.js';
import { scope, tensor, zeros, type Tensor } from '../../src/tensor/index.js';
import type { Pair, ScoreStep } from '../oracles/attend.js';
import { expectedOf, expectResult, type Expected } from '../oracles/attend-budget.js';
import * as rules from '../oracles/rules.js';
import { full } from '../support/full.js';
import { expectSameBits } from '../support/compare.js';
import { onEveryDevice } from '../support/devices.js';
import { normal } from '../support/random.js';
import { cuts, decode, sequence, sizes } from './decode.js';

const L = sizes.L;
const t5Rule = { buckets: 8, maxDistance: 20, bidirectional: false };
const t5Table = normal(91, t5Rule.buckets * sizes.H);
const biasTable = normal(92, sizes.H * L * L);

/** A score change by name: how a decoder gets it, and what the oracle makes of it. */
const changes: Readonly<Record<string, readonly [(device: Device) => Score, ScoreStep]>> = {
  alibi: [() => alibi(), rules.alibi(sizes)],
  t5: [
    (device) => t5Bias(tensor(t5Table, [t5Rule.buckets, sizes.H], { device }), t5Rule),
    rules.t5(t5Table, t5Rule, sizes),
  ],
  bias: [(device) => bias(tensor(biasTable, [sizes.H, L, L], { device })), rules.bias(biasTable, [1, sizes.H, L, L])],
  // tells positions themselves, not only distances
  absolute: [
    () => score(({ score: s, q, k }) => s.add(q.mul(k).mod(7).toF32())),
    { value: (s, { i, j }, r) => r(s + ((i * j) % 7)), slope: () => 1 },
  ],
};

type Seen = (at: Pair) => boolean;
const lastOf =
  (window: number, sinks = 0): Seen =>
  ({ i, j }) =>
    j <= i && (i - j < window || j < sinks);

interface Case {
  readonly mechanism: unknown;
  readonly options: Omit<DecoderOptions, 'maxLength'> & AnyOptions;
  readonly seen: Seen;
  readonly change?: keyof typeof changes;
}

const ring = { cache: 'ring', window: 7 } as const;
const sink = { cache: 'sink', window: 6, sinks: 3 } as const;
const cases: readonly Case[] = [
  { mechanism: flash, options: {}, seen: lastOf(L) },
  { mechanism: flash, options: { scale: 0.7 }, seen: lastOf(L), change: 'alibi' },
  { mechanism: flash, options: {}, seen: lastOf(L), change: 't5' },
  { mechanism: flash, options: {}, seen: lastOf(L), change: 'bias' },
  { mechanism: slidingWindow, options: { radius: 5 }, seen: lastOf(6), change: 'alibi' },
  { mechanism: flash, options: ring, seen: lastOf(7) },
  { mechanism: flash, options: ring, seen: lastOf(7), change: 'alibi' },
  { mechanism: flash, options: ring, seen: lastOf(7), change: 't5' },
  { mechanism: flash, options: ring, seen: lastOf(7), change: 'bias' },
  { mechanism: flash, options: { cache: 'ring', window: 1 }, seen: lastOf(1) },
  { mechanism: flash, options: { cache: 'ring', window: 100 }, seen: lastOf(L), change: 'absolute' },
  { mechanism: slidingWindow, options: { ...ring, radius: 6 }, seen: lastOf(7) },
  { mechanism: slidingWindow, options: { ...ring, radius: 4 }, seen: lastOf(5) },
  { mechanism: slidingWindow, options: { ...ring, causalWindow: 3 }, seen: lastOf(3), change: 'alibi' },
  { mechanism: flash, options: sink, seen: lastOf(6, 3) },
  { mechanism: flash, options: sink, seen: lastOf(6, 3), change: 'alibi' },
  { mechanism: flash, options: sink, seen: lastOf(6, 3), change: 't5' },
  { mechanism: flash, options: sink, seen: lastOf(6, 3), change: 'absolute' },
  { mechanism: globalTokens, options: { ...sink, numGlobals: 3, radius: 5 }, seen: lastOf(6, 3) },
  { mechanism: globalTokens, options: { ...sink, numGlobals: 2, radius: 3 }, seen: lastOf(4, 2), change: 't5' },
];

const nameOf = ({ mechanism: m, options, change = 'no score' }: Case): string =>
  `${(m as Mechanism).name} ${JSON.stringify(options)} with ${change}`;

const data = sequence(5);
const answers = new Map<Case, Expected>();
const answerOf = (one: Case): Expected => {
  const { options, seen, change } = one;
  const { scale } = options;
  const known = answers.get(one);
  const made =
    known ??
    expectedOf({
      ...data,
      allowed: seen,
      ...(scale !== undefined && { scale }),
      ...(change && { score: [changes[change]![1]] }),
    });
  answers.set(one, made);
  return made;
};

describe('steps equal one pass', () => {
  onEveryDevice((on) => {
    // a compiler takes a second for each kernel; the texts are those of WebAssembly
    const some = on.kind === 'native' && !full ? [cases[0]!, cases[6]!] : cases;
    test.each(some.map((one) => [nameOf(one), one] as const))('%s', async (name, one) => {
      await scope(async () => {
        const change = one.change && changes[one.change]![0](on.device);
        const options = { ...one.options, maxLength: L, ...(change && { score: change }) };
        for (const steps of cuts(L)) {
          const { out } = await decode(on.device, one.mechanism as Mechanism, options, data, steps);
          expectResult(`${name} in steps of ${steps.join()}`, 'out', out, answerOf(one));
        }
      });
    });

    test('one head of keys for all queries, and one for each', async () => {
      for (const G of [1, 4]) {
        const other = sequence(17, { ...sizes, G });
        const expected = expectedOf({ ...other, allowed: lastOf(7) });
        const { out } = await decode(on.device, flash, { ...ring, maxLength: L }, other, cuts(L)[1]!);
        expectResult(`G=${G}`, 'out', out, expected);
      }
    });

    test('keys that were turned at their positions', async () => {
      await scope(async () => {
        const { B, H, G, D } = sizes;
        const whole = async (name: 'q' | 'k', heads: number): Promise<Float32Array> =>
          (await rope(tensor(data[name], [B, heads, L, D], { device: on.device })).data()) as Float32Array;
        const turned = { ...data, q: await whole('q', H), k: await whole('k', G) };
        const expected = expectedOf({ ...turned, allowed: lastOf(6, 3), score: [rules.alibi(sizes)] });
        const options = { ...sink, maxLength: L, score: alibi() };
        const turn = (x: Tensor, name: string, start: number): Tensor =>
          name === 'v' ? x : rope(x, { offset: start });
        for (const steps of cuts(L)) {
          const { out } = await decode(on.device, flash, options, data, steps, turn);
          expectResult(`rope in steps of ${steps.join()}`, 'out', out, expected);
        }
      });
    });

    test('keys of a pattern that lie far apart are picked from the room', async () => {
      const long = sequence(29, { B: 1, H: 2, G: 2, L: 150, S: 150, D: 4, E: 4 });
      const allowed: Seen = (at) => at.j <= at.i && rules.fixed(32, 1)(long)(at);
      const options = { stride: 32, columns: 1, maxLength: 160 };
      const { out } = await decode(on.device, mechanism('fixed'), options, long, [130, ...cuts(20)[0]!]);
      expectResult('fixed', 'out', out, expectedOf({ ...long, allowed }));
    });

    test('an option that the mechanism has too goes to both', async () => {
      const { family, summary, paper, formula, complexity, exactness, supports } = slidingWindow.definition;
      const sinkWindow = defineAttention({
        family,
        summary,
        paper,
        formula,
        complexity,
        exactness,
        supports,
        name: 'sink-window',
        options: { sinks: integer({ min: 0, default: 1, help: 'first tokens that all see' }) },
        pattern: (_, { sinks }) => within({ radius: 5 }).or(mask(({ k }) => k.lt(sinks))),
        cost: () => ({ multiplyAdds: 0 }),
      });
      for (const options of [sink, { sinks: 3 }]) {
        const { out } = await decode(on.device, sinkWindow, { ...options, maxLength: L }, data, cuts(L)[1]!);
        expectResult(JSON.stringify(options), 'out', out, expectedOf({ ...data, allowed: lastOf(6, 3) }));
      }
    });

    test('half-precision steps are those of f32, rounded', async () => {
      const half = (x: Tensor): Tensor => cast(x, 'f16');
      const rounded = (x: Tensor): Tensor => cast(half(x), 'f32');
      const options = { ...ring, maxLength: L };
      const [got, want] = [
        await decode(on.device, flash, options, data, cuts(L)[1]!, half),
        await decode(on.device, flash, options, data, cuts(L)[1]!, rounded),
      ];
      const f16 = await scope(() => cast(tensor(want.out, [want.out.length], { device: on.device }), 'f16').data());
      expectSameBits('f16', got.out, f16);
    });

    test('NaN in a value reaches those that see it, and nobody once it is gone', async () => {
      const v = Float32Array.from(data.v, (x, n) => (Math.floor(n / sizes.E) % L === 12 ? NaN : x));
      const sees = (at: Pair): boolean => at.j === 12;
      for (const one of on.kind === 'native' && !full
        ? [cases[5]!, cases[19]!]
        : [5, 12, 14, 19].map((i) => cases[i]!)) {
        await scope(async () => {
          const own = one.change ? { score: changes[one.change]![0](on.device) } : {};
          const options = { ...one.options, ...own, maxLength: L };
          for (const steps of cuts(L)) {
            const { out } = await decode(on.device, one.mechanism as Mechanism, options, { ...data, v }, steps);
            for (let row = 0; row < sizes.B * sizes.H * L; row++) {
              const at = { b: 0, h: 0, i: row % L, j: 12 };
              expect(Number.isNaN(out[row * sizes.E]), `${nameOf(one)}: row ${row % L}`).toBe(one.seen(at) && sees(at));
            }
          }
        });
      }
    });

    test('a decoder that was reset starts afresh, and one that was disposed is gone', () => {
      const step = (decoder: ReturnType<typeof flash.decoder>): Promise<unknown> =>
        scope(() => {
          const x = tensor(normal(3, 2 * 5 * 4), [1, 2, 5, 4], { device: on.device });
          return decoder.step(x, x, x).out.data();
        });
      return scope(async () => {
        const decoder = flash.decoder({ maxLength: 9, cache: 'ring', window: 3, score: alibi() });
        const first = await step(decoder);
        expect(() => step(decoder)).toThrow('5 tokens and 5 more exceed');
        decoder.reset();
        expect(decoder.length).toBe(0);
        expect(await step(decoder)).toEqual(first);
        expect(decoder.length).toBe(5);
        decoder.dispose();
        decoder.dispose();
        expect(() => step(decoder)).toThrow('was disposed');
      });
    });

    test('refuses steps that do not go on with the first, and patterns that look back further than the ring', () => {
      scope(() => {
        const x = (...shape: number[]): Tensor => zeros(shape, { device: on.device });
        const decoder = flash.decoder({ maxLength: 9 });
        decoder.step(x(1, 2, 3, 4), x(1, 1, 3, 4), x(1, 1, 3, 4));
        const other = (): unknown => decoder.step(x(1, 2, 1, 4), x(1, 2, 1, 4), x(1, 2, 1, 4));
        expect(other).toThrow(ShapeError);
        expect(other).toThrow('a step must be q=[1,2,T,4], k=[1,1,T,4] and v=[1,1,T,4]');
        expect(decoder.length).toBe(3);
        decoder.dispose();

        const refusal = (one: unknown, options: AnyOptions): (() => unknown) => {
          const short = (one as Mechanism).decoder({ maxLength: 64, ...options });
          return () => short.step(x(1, 2, 3, 4), x(1, 2, 3, 4), x(1, 2, 3, 4));
        };
        const tooShort = refusal(slidingWindow, { ...ring, radius: 10 });
        expect(tooShort).toThrow(CapabilityError);
        expect(tooShort).toThrow('use a window of at least 11');
        expect(refusal(mechanism('strided'), { ...ring, stride: 4 })).toThrow('use cache: "fixed"');
        expect(refusal(globalTokens, { ...sink, numGlobals: 4, radius: 1 })).toThrow('sinks 3 has forgotten');
      });
    });
  });
});

test('refuses options by name, all at once', () => {
  const refuse =
    (one: unknown, options: object): (() => unknown) =>
    () =>
      (one as Mechanism).decoder({ maxLength: 8, ...options });
  expect(refuse(flash, { cache: 'rung', maxLength: 0 })).toThrow(OptionError);
  expect(refuse(flash, { cache: 'rung', maxLength: 0 })).toThrow(
    'maxLength must be a whole number from 1 to 2^31 - 1; got 0; cache must be "fixed", "ring" or "sink"; got "rung" (did you mean "ring"?)',
  );
  expect(refuse(flash, { cache: 'ring' })).toThrow('window is missing; it must be a whole number from 1');
  expect(refuse(flash, { cache: 'sink', window: 3 })).toThrow('sinks is missing; it must be a whole number from 1');
  expect(refuse(flash, { window: 3 })).toThrow('window belong to cache: "ring" or "sink"; got cache: "fixed"');
  expect(refuse(flash, { ...ring, sinks: 3 })).toThrow('sinks belong to cache: "sink"');
  expect(refuse(flash, { lengths: [3] })).toThrow('it takes no lengths');
  expect(refuse(mechanism('performer'), ring)).toThrow(CapabilityError);
  expect(refuse(mechanism('performer'), ring)).toThrow('forgets nothing; leave out cache: "ring"');
  expect(refuse(longformer, sink)).toThrow('such as flash or sliding-window');
  expect(refuse(mechanism('fnet'), {})).toThrow('does not decode step by step');
});
