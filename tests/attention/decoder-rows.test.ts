import { describe, expect, test } from 'vitest';
import {
  flash,
  longformer,
  mechanism,
  type AnyOptions,
  type Decoder,
  type Mechanism,
} from '../../src/attention/index.js';
import { CapabilityError, FormatError, OptionError, ShapeError } from '../../src/core/errors.js';
import type { Device } from '../../src/devices/index.js';
import { alibi, score } from '../../src/scores/index.js';
import { disposeAll, liveTensors, scope, tensor, type Tensor } from '../../src/tensor/index.js';
import { budgetOf, expectClose, expectSameBits } from '../support/compare.js';
import { fewNatively, onEveryDevice } from '../support/devices.js';
import { normal } from '../support/random.js';

const [H, G, D, maxLength] = [2, 1, 4, 40];

interface Case {
  readonly of: unknown;
  readonly options: AnyOptions;
  /** Of row b alone, where it is another. */
  readonly alone?: (b: number) => AnyOptions;
  /** Whether it multiplies matrices whose sums have another order for another number of rows. */
  readonly rounds?: boolean;
}
const cases: Readonly<Record<string, Case>> = {
  'all tokens': { of: flash, options: {} },
  'all tokens, alibi': { of: flash, options: { score: alibi() } },
  'a score by row': {
    of: flash,
    options: { score: score(({ score: s, b }) => s.mul(b.add(1).toF32())) },
    alone: (b) => ({ score: score(({ score: s }) => s.mul(b + 1)) }),
  },
  'a pattern of strides': { of: mechanism('strided'), options: { stride: 3 } },
  'a ring': { of: flash, options: { cache: 'ring', window: 5, score: alibi() } },
  sinks: { of: flash, options: { cache: 'sink', window: 4, sinks: 2, score: alibi() } },
  copies: { of: longformer, options: { radius: 2, globals: [0, 1] } },
  blocks: { of: mechanism('memory-compressed'), options: {} },
  'a state': { of: mechanism('linear-transformer'), options: {} },
  'a state of features': { of: mechanism('performer'), options: { numFeatures: 8 }, rounds: true },
};

/** Token `at` of text t, for a head of each of q, k and v. */
const numbers = (t: number, from: number, to: number, heads: number, what: number): Float32Array => {
  const all = normal(100 * t + what, heads * maxLength * D);
  return all.filter((_, i) => Math.floor(i / D) % maxLength >= from && Math.floor(i / D) % maxLength < to);
};

/** Tokens `from … to − 1` of some texts; all of one number. */
function tokens(device: Device, texts: readonly (readonly [text: number, from: number, to: number])[]) {
  const T = texts[0]![2] - texts[0]![1];
  const make = (heads: number, what: number): Tensor => {
    const parts = texts.map(([t, from, to]) => [...numbers(t, from, to, heads, what)]);
    return tensor(Float32Array.from(parts.flat()), [texts.length, heads, T, D], { device });
  };
  return [make(H, 0), make(G, 1), make(G, 2)] as const;
}

/** What steps give, row by row. */
async function step(
  decoder: Decoder,
  device: Device,
  texts: readonly (readonly [text: number, from: number, to: number])[],
  rows?: readonly number[],
): Promise<Float32Array[]> {
  const out = scope(() => {
    const { out: rowsOut, logsumexp } = decoder.step(...tokens(device, texts), rows && { rows });
    logsumexp?.dispose();
    return rowsOut;
  });
  const all = (await out.data()) as Float32Array;
  out.dispose();
  const each = all.length / texts.length;
  return texts.map((_, i) => all.slice(i * each, (i + 1) * each));
}

describe('rows of a decoder', () => {
  onEveryDevice((on) => {
    const some = fewNatively(on.kind, Object.keys(cases), 2);
    const open = (name: string, options: AnyOptions & { readonly rows?: number } = {}): Decoder =>
      (cases[name]!.of as Mechanism).decoder({ maxLength, ...cases[name]!.options, ...options });

    /**
     * The same bits; or, of products that are rounded otherwise, what differs by no more than two ways to compute a text do: step by
     * step, and at once.
     */
    let rounding: number | undefined;
    const expectSame = async (who: string, name: string, got: Float32Array, want: Float32Array): Promise<void> => {
      if (!cases[name]!.rounds) return expectSameBits(who, got, want);
      if (rounding === undefined) {
        const steps = await alone(
          name,
          0,
          0,
          Array.from({ length: 20 }, (_, i) => [i, i + 1] as const),
        );
        const [whole] = await alone(name, 0, 0, [[0, 20]]);
        const stepwise = whole!.map((_, n) => {
          const [head, at] = [Math.floor(n / (20 * D)), Math.floor(n / D) % 20];
          return steps[at]![head * D + (n % D)]!;
        });
        rounding = budgetOf(whole!, stepwise) / Math.max(...whole!.map(Math.abs));
      }
      expectClose(who, got, want, { budget: rounding * Math.max(...want.map(Math.abs)) });
    };

    /** Row b goes on with a text; alone, a decoder of one row does. */
    const alone = async (
      name: string,
      b: number,
      text: number,
      cuts: readonly (readonly [number, number])[],
    ): Promise<Float32Array[]> => {
      const decoder = open(name, cases[name]!.alone?.(b));
      const out: Float32Array[] = [];
      for (const [from, to] of cuts) out.push((await step(decoder, on.device, [[text, from, to]]))[0]!);
      decoder.dispose();
      return out;
    };

    test.each(some)('%s: rows of different lengths give what each gives alone', async (name) => {
      const decoder = open(name, { rows: 3 });
      const prompts = [7, 2, 7] as const;
      const expected: Float32Array[][] = [];
      for (const b of [0, 1, 2]) {
        const n = prompts[b]!;
        const cuts = [[0, n], ...Array.from({ length: 9 }, (_, i) => [n + i, n + i + 1])] as [number, number][];
        expected.push(await alone(name, b, b, [...cuts, [n + 9, n + 12]]));
      }
      // the rows as they lie, and the other way round
      const first = await step(
        decoder,
        on.device,
        [
          [2, 0, 7],
          [0, 0, 7],
        ],
        [2, 0],
      );
      const second = await step(decoder, on.device, [[1, 0, 2]], [1]);
      await expectSame('the prompt of row 2', name, first[0]!, expected[2]![0]!);
      await expectSame('the prompt of row 0', name, first[1]!, expected[0]![0]!);
      await expectSame('the prompt of row 1', name, second[0]!, expected[1]![0]!);
      expect(decoder.lengths).toEqual([7, 2, 7]);
      const order = [[0, 1, 2], [2, 0, 1], undefined];
      for (let i = 0; i < 9; i++) {
        const rows = order[i % 3];
        const texts = (rows ?? [0, 1, 2]).map((b) => [b, prompts[b]! + i, prompts[b]! + i + 1] as const);
        const got = await step(decoder, on.device, texts, rows);
        for (const [place, [b]] of texts.entries())
          await expectSame(`token ${i} of row ${b}`, name, got[place]!, expected[b]![i + 1]!);
      }
      const last = await step(
        decoder,
        on.device,
        [0, 1, 2].map((b) => [b, prompts[b]! + 9, prompts[b]! + 12] as const),
      );
      for (const [b, got] of last.entries()) await expectSame(`the end of row ${b}`, name, got, expected[b]![10]!);
      // and afresh, together
      decoder.reset();
      expect(decoder.lengths).toEqual([0, 0, 0]);
      const all = [0, 1, 2].map((text) => [text, 0, 2] as const);
      const again = await step(decoder, on.device, all);
      await expectSame('row 1 afresh', name, again[1]!, expected[1]![0]!);
      decoder.dispose();
    });

    test.each(some)('%s: a fork goes on alone, in any order of rows', async (name) => {
      const decoder = open(name, { rows: 2 });
      await step(decoder, on.device, [[0, 0, 9]], [0]);
      await step(decoder, on.device, [[1, 0, 6]], [1]);
      const fork = decoder.fork([1, 0, 1]);
      const same = decoder.fork();
      expect([fork.lengths, same.lengths]).toEqual([
        [6, 9, 6],
        [9, 6],
      ]);
      const next = [
        [5, 20, 21],
        [6, 20, 21],
        [7, 20, 21],
      ] as const;
      const forked = await step(fork, on.device, next);
      const [row0] = await step(decoder, on.device, [next[1]], [0]);
      const [row1] = await step(decoder, on.device, [next[0]], [1]);
      await expectSame('row 0 of the fork', name, forked[0]!, row1!);
      await expectSame('row 1 of the fork', name, forked[1]!, row0!);
      expect(forked[2]).not.toEqual(forked[0]);
      // what the others did is nothing to this one
      const [own0, own1] = await step(same, on.device, [next[1], next[0]]);
      await expectSame('row 0 of the copy', name, own0!, row0!);
      await expectSame('row 1 of the copy', name, own1!, row1!);
      for (const one of [decoder, fork, same]) one.dispose();
    });

    test.each(some)('%s: what is truncated was never there, or says that it cannot', async (name) => {
      for (const [length, to] of [
        [4, 2],
        [12, 11],
        [12, 10],
        [12, 3],
        [6, 0],
      ] as const) {
        const decoder = open(name, { rows: 2 });
        const both = [0, 1].map((text) => [text, 0, length] as const);
        await step(decoder, on.device, both);
        const bounded = 'cache' in cases[name]!.options;
        const state = name.startsWith('a state');
        const can = to === 0 || (!state && (!bounded || length <= 5 || length - to === 1));
        if (!can) {
          const before = { live: liveTensors(), bytes: on.device.ledger.live() };
          expect(() => decoder.truncate([length, to])).toThrow(CapabilityError);
          expect(() => decoder.truncate([length, to])).toThrow('fork() before the tokens that may be taken back');
          expect({ live: liveTensors(), bytes: on.device.ledger.live() }).toEqual(before);
          expect(decoder.lengths).toEqual([length, length]);
        } else {
          decoder.truncate([length, to]);
          expect(decoder.lengths).toEqual([length, to]);
          // a second time: what the tokens were written over is as gone as before
          const again = decoder.fork();
          if (bounded && to === 11) expect(() => again.truncate([length, to - 1])).toThrow(CapabilityError);
          again.dispose();
          const got = await step(decoder, on.device, [[9, to, to + 3]], [1]);
          const other = open(name, cases[name]!.alone?.(1));
          // the text that was not taken back
          if (to > 0) await step(other, on.device, [[1, 0, to]]);
          await expectSame('row 1', name, got[0]!, (await step(other, on.device, [[9, to, to + 3]]))[0]!);
          other.dispose();
        }
        decoder.dispose();
      }
    });

    test.each(some)('%s: what is exported goes on elsewhere', async (name) => {
      const decoder = open(name, { rows: 3 });
      await step(
        decoder,
        on.device,
        [
          [0, 0, 11],
          [1, 0, 11],
        ],
        [2, 0],
      );
      const state = decoder.export();
      expect(state.header.lengths).toEqual([11, 0, 11]);
      const header = JSON.parse(JSON.stringify(state.header)) as typeof state.header;
      const other = open(name, { rows: 3, maxLength: maxLength + 3 });
      if (name === 'a state of features') await step(other, on.device, [[5, 0, 3]], [1]);
      other.import({ header, tensors: state.tensors });
      disposeAll(state);
      const next = [
        [5, 20, 22],
        [6, 20, 22],
      ] as const;
      const [want, got] = [await step(decoder, on.device, next, [0, 2]), await step(other, on.device, next, [0, 2])];
      await expectSame('row 0', name, got[0]!, want[0]!);
      await expectSame('row 2', name, got[1]!, want[1]!);
      expect(other.lengths).toEqual([13, 0, 13]);
      decoder.dispose();
      other.dispose();
    });

    test('memory that ends in the middle of a fork, a split, an import or an export leaves nothing', async () => {
      const name = 'all tokens, alibi';
      const begun = async (): Promise<Decoder> => {
        const one = open(name, { rows: 2 });
        await step(one, on.device, [
          [0, 0, 5],
          [1, 0, 5],
        ]);
        return one;
      };
      const [decoder, pair, target] = [await begun(), await begun(), open(name)];
      const state = decoder.export();
      const x = tokens(on.device, [[0, 5, 6]]);
      const acts: readonly (readonly [act: () => unknown, of: Decoder])[] = [
        [() => decoder.fork([1, 0, 1]), decoder],
        [() => decoder.export(), decoder],
        [() => target.import(state), target],
        [() => decoder.truncate([5, 4]), decoder],
        [() => pair.step(...x, { rows: [1] }), pair],
      ];
      for (const [i, [act, of]] of acts.entries()) {
        const { lengths } = of;
        let failed = 0;
        for (let n = 0; ; n++) {
          const before = { live: liveTensors(), bytes: on.device.ledger.live() };
          const allocate = on.device.allocate.bind(on.device);
          let left = n;
          on.device.allocate = (...given) => {
            if (left-- === 0) throw new OptionError('no memory');
            return allocate(...given);
          };
          try {
            const result = act();
            if (i === 0) (result as Decoder).dispose();
            disposeAll(result);
            break;
          } catch (error) {
            expect(String(error)).toContain('no memory');
            failed++;
            // a row that has left its group stays apart
            const after = { live: liveTensors(), bytes: on.device.ledger.live() };
            if (of !== pair) expect(after, `act ${i}, allocation ${n}`).toEqual(before);
            expect(of.lengths).toEqual(lengths);
          } finally {
            on.device.allocate = allocate;
          }
        }
        expect(failed, `act ${i}`).toBeGreaterThan(0);
      }
      expect([decoder, pair, target].map(({ lengths }) => lengths)).toEqual([
        [5, 4],
        [5, 6],
        [5, 5],
      ]);
      disposeAll([x, state]);
      for (const one of [decoder, pair, target]) one.dispose();
    });

    test('refuses rows, lengths and states that are not its own, and changes nothing', async () => {
      const { device } = on;
      const decoder = open('all tokens', { rows: 2 });
      await step(decoder, device, [
        [0, 0, 3],
        [1, 0, 3],
      ]);
      const state = decoder.export();
      const x = scope(() => tokens(device, [[0, 3, 4]]));
      const refused: readonly (readonly [act: () => unknown, error: new (message?: string) => Error, why: string])[] = [
        [
          () => decoder.step(...x, { rows: [2] }),
          OptionError,
          'rows must be numbers of its 2 rows, from 0 on, each once',
        ],
        [() => decoder.step(...x, { rows: [0, 0] }), OptionError, 'each once'],
        [() => decoder.step(...x, { rows: [] }), OptionError, 'got []'],
        [() => decoder.step(...x, { rows: '0' as never }), OptionError, 'rows must be'],
        [() => decoder.step(...x), ShapeError, 'q=[2,2,T,4]'],
        [() => decoder.fork([0, 2]), OptionError, 'fork: rows must be numbers of its 2 rows'],
        [() => decoder.truncate(4), OptionError, 'of at most [3,3]; got 4'],
        [() => decoder.truncate([1]), OptionError, 'one for each row'],
        [() => decoder.truncate([1, -1]), OptionError, 'one for each row'],
        [() => open('all tokens').fork(), OptionError, 'there are no rows yet'],
        [() => open('all tokens').export(), OptionError, 'there are no tokens yet'],
        [() => open('all tokens', { rows: 3 }).import(state), OptionError, 'the state has 2 rows and the decoder 3'],
        [
          () => open('all tokens', { maxLength: 2 }).import(state),
          FormatError,
          '3 tokens are more than the maxLength of 2',
        ],
        [
          () => open('a ring').import(state),
          FormatError,
          'cache is "fixed" there and "ring" here; window is not set there and 5',
        ],
        [() => open('all tokens, alibi').import(state), FormatError, 'score is not set there and "alibi()" here'],
        [() => open('a state').import(state), FormatError, 'mechanism is "flash" there and "linear-transformer" here'],
        [
          () => decoder.import({ ...state, tensors: new Map([...state.tensors].slice(1)) }),
          FormatError,
          '0.k must be f32[1,1,3,4]; got none',
        ],
        [
          () => decoder.import({ ...state, header: { ...state.header, shapes: {} } }),
          FormatError,
          'row 0 has 3 tokens and no tensors',
        ],
        [
          () => decoder.import({ ...state, header: { ...state.header, lengths: [3, 2] } }),
          ShapeError,
          'k must be [1,1,2,4]; got [1,1,3,4]',
        ],
        [
          () => decoder.import({ ...state, header: { ...state.header, version: 2 as 1 } }),
          FormatError,
          'the state has version 2, and this one reads version 1',
        ],
        [() => decoder.import({ ...state, header: {} as never }), FormatError, 'it is no state of a decoder'],
        [() => decoder.import({ ...state, header: { ...state.header, lengths: [] } }), FormatError, 'no lengths'],
      ];
      for (const [act, error, why] of refused) {
        const before = { live: liveTensors(), bytes: device.ledger.live() };
        expect(act, why).toThrow(error);
        expect(act).toThrow(why);
        expect({ live: liveTensors(), bytes: device.ledger.live() }, why).toEqual(before);
      }
      expect(decoder.lengths).toEqual([3, 3]);
      expect(() => (flash as unknown as Mechanism).decoder({ maxLength: 3, rows: 0 })).toThrow(
        'rows must be a whole number from 1',
      );
      disposeAll([x, state]);
      decoder.dispose();
    });
  });
});
