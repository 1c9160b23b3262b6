// of scores/{alibi,bias,score,softcap,t5}

import { describe, expect, it } from 'vitest';
import {
  differentiate,
  differentiateTable,
  evaluate,
  print,
  provablyInRange,
  variable,
  type Table,
} from '../../src/codegen/expression/index.js';
import { OptionError, ShapeError } from '../../src/core/errors.js';
import { ranges, type AttendShape } from '../../src/masks/index.js';
import { alibi, alibiSlopes, bias, score, softcap, t5Bias, t5Bucket, type Score } from '../../src/scores/index.js';

const shape: AttendShape = { B: 2, H: 4, G: 2, L: 3, S: 5 };
const at = { score: 0.5, b: 1, h: 2, q: 4, k: 1 };
const tensor = (...extents: number[]): { shape: number[]; dtype: string } => ({ shape: extents, dtype: 'f32' });

/** The value with every entry of the learned table numbered from 0. */
function valueAt(change: Score, place: typeof at, own: AttendShape = shape): number {
  const expression = change.expression(own);
  const entries = differentiateTable(expression);
  const tables = new Map<Table, number[]>(
    entries.map(({ table }) => [table, Array.from({ length: table.shape.reduce((a, b) => a * b, 1) }, (_, i) => i)]),
  );
  return evaluate(expression, place, { tables });
}

describe('softcap', () => {
  it('is cap · tanh(score / cap), with slope 1 at 0', () => {
    expect(valueAt(softcap(5), at)).toBeCloseTo(5 * Math.tanh(0.1), 15);
    const slope = differentiate(softcap(5).expression(shape), 'score');
    expect(evaluate(slope, { ...at, score: 0 })).toBe(1);
    expect(evaluate(slope, { ...at, score: 100 })).toBeCloseTo(0, 12);
  });
});

describe('alibi', () => {
  it('has the official slopes for any number of heads', () => {
    const close = (heads: number, expected: number[]): void => {
      const slopes = alibiSlopes(heads);
      expect(slopes).toHaveLength(expected.length);
      expected.forEach((slope, i) => expect(slopes[i]).toBeCloseTo(slope, 8));
    };
    close(1, [0.00390625]);
    close(2, [0.0625, 0.00390625]);
    close(4, [0.25, 0.0625, 0.015625, 0.00390625]);
    close(6, [0.25, 0.0625, 0.015625, 0.00390625, 0.5, 0.125]);
    close(
      8,
      [1, 2, 3, 4, 5, 6, 7, 8].map((i) => 2 ** -i),
    );
    close(12, [...[1, 2, 3, 4, 5, 6, 7, 8].map((i) => 2 ** -i), 0.70710678, 0.35355339, 0.1767767, 0.08838835]);
    expect(alibiSlopes(16)[0]).toBeCloseTo(0.70710678, 8);
    expect(alibiSlopes(16)[15]).toBe(0.00390625);
  });

  it('falls with the distance on both sides, unscaled', () => {
    expect(valueAt(alibi(), at)).toBe(0.5 - 0.015625 * 3);
    expect(valueAt(alibi(), { ...at, q: 1, k: 4 })).toBe(0.5 - 0.015625 * 3);
    expect(valueAt(alibi([0, 1, 2, 3]), at)).toBe(0.5 - 2 * 3);
    expect(print(alibi().expression(shape))).toBe('score - slopes[h] * f32(|q - k|)');
  });

  it('reads its slopes within their table, and keeps its expression', () => {
    const change = alibi();
    expect(provablyInRange(change.expression(shape), ranges(shape))).toBe(true);
    expect(change.expression(shape)).toBe(change.expression({ ...shape }));
  });
});

describe('t5Bias', () => {
  const firsts = (bidirectional: boolean, sign: number): number[] => {
    const rule = { buckets: 32, maxDistance: 128, bidirectional };
    const buckets = Array.from({ length: 300 }, (_, d) => t5Bucket(sign * d, rule));
    return buckets.flatMap((bucket, d) => (d > 0 && bucket !== buckets[d - 1] ? [d] : []));
  };

  it('has the published buckets', () => {
    const log = [16, 19, 21, 24, 27, 31, 35, 40, 46, 52, 59, 67, 77, 87, 99, 113];
    expect(firsts(false, -1)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, ...log]);
    expect(firsts(false, 1)).toEqual([]);
    expect(firsts(true, -1)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 23, 32, 46, 64, 91]);
    expect(firsts(true, 1)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 23, 32, 46, 64, 91]);
    const both = { buckets: 32, maxDistance: 128, bidirectional: true };
    expect([1, 8, 128, 5000, -5000].map((relative) => t5Bucket(relative, both))).toEqual([17, 24, 31, 31, 15]);
  });

  it('adds the bucket of key − query, for any distance, from the head’s column', () => {
    const long = { ...shape, L: 600, S: 600 };
    for (const bidirectional of [true, false]) {
      const change = t5Bias(tensor(32, 4), { bidirectional });
      for (let relative = -500; relative <= 500; relative++) {
        const place = { ...at, score: 0, q: 550 - Math.max(0, relative), k: 550 + Math.min(0, relative) };
        const bucket = t5Bucket(place.k - place.q, { buckets: 32, maxDistance: 128, bidirectional });
        expect(valueAt(change, place, long)).toBe(bucket * 4 + 2);
      }
      const learned = differentiateTable(change.expression(long));
      expect(learned).toHaveLength(1);
      expect(print(learned[0]!.factor)).toBe('1');
      expect(provablyInRange(change.expression(long), ranges(long))).toBe(true);
    }
  });
});

describe('bias', () => {
  it('reads the query’s row, and spreads what has extent 1', () => {
    // row 2 of 3, key 1 of 5
    expect(valueAt(bias(tensor(2, 4, 3, 5)), at)).toBe(0.5 + ((1 * 4 + 2) * 3 + 2) * 5 + 1);
    expect(valueAt(bias(tensor(1, 4, 3, 5)), at)).toBe(0.5 + (2 * 3 + 2) * 5 + 1);
    expect(valueAt(bias(tensor(3, 5)), at)).toBe(0.5 + 2 * 5 + 1);
    expect(valueAt(bias(tensor(2, 1, 1, 5)), at)).toBe(0.5 + 5 + 1);
    expect(valueAt(bias(tensor(4, 3, 1)), at)).toBe(0.5 + 2 * 3 + 2);
    expect(valueAt(bias(tensor(1, 1, 1, 1)), at)).toBe(0.5);
  });

  it('lets gradients flow to the tensor', () => {
    const learned = tensor(4, 3, 5);
    const [entry] = differentiateTable(
      bias(learned)
        .andThen(score(({ score: s }) => s.mul(3)))
        .expression(shape),
    );
    expect(entry!.table.source).toBe(learned);
    expect(print(entry!.factor)).toBe('3');
  });
});

describe('score', () => {
  it('applies one change after the other', () => {
    const change = score(({ score: s }) => s.add(1)).andThen(score(({ score: s }) => s.mul(10)));
    expect(valueAt(change, at)).toBe(15);
    expect(String(softcap(3).andThen(alibi()))).toBe('softcap(3).andThen(alibi())');
    expect(valueAt(softcap(3).andThen(alibi()), at)).toBeCloseTo(3 * Math.tanh(0.5 / 3) - 0.015625 * 3, 14);
  });

  it('knows where it is, and the shape', () => {
    expect(
      valueAt(
        score(({ score: s, b, h, q, k }) => s.add(b.mul(1000).add(h.mul(100)).add(q.mul(10)).add(k).toF32())),
        at,
      ),
    ).toBe(1241.5);
    expect(
      valueAt(
        score(({ score: s }, { S }) => s.mul(S)),
        at,
      ),
    ).toBe(2.5);
  });
});

describe('bad input gets one sentence', () => {
  const build =
    (change: Score, own: AttendShape = shape): (() => unknown) =>
    () =>
      change.expression(own);
  it.each<[string, () => unknown, new (message: string) => Error, RegExp]>([
    ['a cap of 0', () => softcap(0), OptionError, /cap must be a finite number > 0; got 0/],
    ['no cap', () => softcap(undefined as never), OptionError, /got undefined/],
    ['half a head', () => alibiSlopes(1.5), OptionError, /heads must be an integer from 1 to 65536; got 1\.5/],
    ['infinite slopes', () => alibi([1, Infinity]), OptionError, /finite/],
    ['slopes of other heads', build(alibi([1, 2])), ShapeError, /got 2 slopes for H=4/],
    [
      'odd buckets',
      () => t5Bias(tensor(31, 4), { buckets: 31 }),
      OptionError,
      /an even whole number of at least 4; got 31/,
    ],
    [
      'a near maxDistance',
      () => t5Bias(tensor(32, 4), { maxDistance: 8 }),
      OptionError,
      /maxDistance must be an integer above 8/,
    ],
    ['an option misspelt', () => t5Bias(tensor(32, 4), { bucket: 32 } as never), OptionError, /did you mean "buckets"/],
    ['a table of other heads', build(t5Bias(tensor(32, 2))), ShapeError, /\[buckets,H\]=\[32,4\]; got \[32,2\]/],
    ['what is no tensor', () => t5Bias([[1]] as never), OptionError, /table must be a tensor/],
    ['a tensor of integers', build(bias({ shape: [3, 5], dtype: 'i32' })), OptionError, /f32 tensor; got i32/],
    ['a bias that does not fit', build(bias(tensor(5, 3))), ShapeError, /bias=\[5,3\] with B=2, H=4, L=3, S=5/],
    ['five dimensions', () => bias(tensor(1, 1, 1, 3, 5)), ShapeError, /at most 4 dimensions/],
    ['a rule that is none', () => score(3 as never), OptionError, /takes a function/],
    [
      'a rule that returns a boolean',
      build(score(({ q }) => q.lt(1) as never)),
      OptionError,
      /must return an f32 expression; got an expression of type bool/,
    ],
    [
      'an unknown variable',
      build(score(({ score: s }) => s.add(variable('j', 'f32')))),
      OptionError,
      /unknown variable j/,
    ],
    ['no score change', () => softcap(1).andThen({} as never), OptionError, /andThen: takes a score change/],
  ])('%s', (_, run, type, message) => {
    expect(run).toThrow(type);
    expect(run).toThrow(message);
  });
});
