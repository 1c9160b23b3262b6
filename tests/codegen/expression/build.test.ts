// of codegen/expression/{fluent,lift,node,print,simplify,tables}

import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { OptionError } from '../../../src/core/errors.js';
import {
  compile,
  constant,
  evaluate,
  F32,
  freeVariables,
  key,
  liftConstants,
  lookup,
  print,
  rebuild,
  select,
  simplify,
  substitute,
  tableOf,
  tablesOf,
  variable,
  wrap,
  type Expression,
} from '../../../src/codegen/expression/index.js';
import { anyExpression, point } from './arbitrary.js';

const [q, k, score] = [variable('q', 'i32'), variable('k', 'i32'), variable('score', 'f32')];

describe('building', () => {
  it('chains and takes numbers for expressions', () => {
    const e = q.sub(k).abs().le(256).and(k.le(q));
    expect(e.type).toBe('bool');
    expect(evaluate(e, { q: 300, k: 44 })).toBe(1);
    expect(evaluate(e, { q: 300, k: 43 })).toBe(0);
    expect(evaluate(e, { q: 300, k: 301 })).toBe(0);
    expect([...freeVariables(e)].sort()).toEqual(['k', 'q']);
  });

  it('chooses the type of a select from its expressions', () => {
    expect(select(q.lt(k), 1, 2).type).toBe('f32');
    expect(select(q.lt(k), q, 2).type).toBe('i32');
    expect(select(q.lt(k), true, q.eq(k)).type).toBe('bool');
  });

  it.each<[string, () => unknown, RegExp]>([
    ['an f32 for an i32', () => q.add(score as never), /add: takes an expression of type i32 .* type f32.*toI32/],
    ['a fraction for an i32', () => q.add(1.5), /must be an integer.*1\.5/],
    ['an integer beyond 32 bits', () => q.add(2 ** 31), /below 2\^31/],
    ['a boolean for a number', () => score.mul(true as never), /mul: takes .* f32 or a number; got true/],
    ['nothing', () => score.mul(undefined as never), /got undefined/],
    ['NaN', () => score.mul(NaN), /must be a number; got NaN/],
    ['division by zero', () => q.mod(0), /mod: the divisor must not be 0/],
    ['a literal index out of range', () => lookup(tableOf('t', new Int32Array(3)), 3), /"t": index 3 is outside 0…2/],
    ['too few indices', () => lookup(tableOf('t', new Int32Array(4), [2, 2]), q), /takes 2 i32 indices/],
    ['a table shape that does not fit', () => tableOf('t', new Int32Array(4), [3]), /does not hold its 4 numbers/],
    ['an empty table', () => tableOf('t', new Int32Array(0)), /whole numbers of at least 1; got \[0\]/],
    ['a table of another array', () => tableOf('t', new Float64Array(1) as never), /must be a Float32Array/],
    ['mixed branches', () => select(q.lt(k), q, score as never), /select: takes an expression of type i32/],
  ])('refuses %s in one sentence', (_, build, message) => {
    expect(build).toThrow(OptionError);
    expect(build).toThrow(message);
  });
});

describe('print', () => {
  const table = tableOf('ids', Int32Array.of(1, 2, 3));
  it.each<[Expression, string]>([
    [q.sub(k).abs().le(256).and(k.le(q)).or(k.eq(0)), '|q - k| <= 256 and k <= q or k = 0'],
    [q.sub(k.sub(1)), 'q - (k - 1)'],
    [q.sub(k).sub(1), 'q - k - 1'],
    [q.add(k).mul(3).floorDiv(q), '(q + k) * 3 // q'],
    [q.mul(k.floorDiv(2)), 'q * (k // 2)'],
    [q.lt(k).or(q.eq(k)).and(k.gt(1)).not(), 'not ((q < k or q = k) and k > 1)'],
    [lookup(table, q.add(1)).ne(lookup(table, k)), 'ids[q + 1] != ids[k]'],
    [score.neg().exp().mul(-2), 'exp(-score) * -2'],
    [score.sub(-2), 'score - -2'],
    [select(q.lt(k), score, 0), 'select(q < k, score, 0)'],
    [q.toF32().toI32(), 'i32(f32(q))'],
  ])('%#: %s', (e, text) => {
    expect(print(e)).toBe(text);
  });
});

describe('key', () => {
  const copy = (e: Expression): Expression => ({ ...e, args: e.args.map(copy) });

  it('does not depend on how nodes are shared or wrapped', () => {
    fc.assert(
      fc.property(anyExpression, (e) => {
        expect(key(copy(e))).toBe(key(e));
      }),
    );
  });

  it('tells structures, literals, types and names apart', () => {
    const all = [
      q.sub(k),
      k.sub(q),
      q.sub(1),
      q.sub(2),
      score.sub(1),
      variable('q', 'f32').sub(1),
      q.sub(k).sub(k),
      q.eq(k),
      q.ne(k),
    ];
    expect(new Set(all.map(key)).size).toBe(all.length);
  });

  it('counts tables by name, type and rank, not by their numbers', () => {
    const read = (name: string, data: Int32Array | Uint8Array): Expression => lookup(tableOf(name, data), q);
    expect(key(read('t', Int32Array.of(1, 2)))).toBe(key(read('t', Int32Array.of(7))));
    expect(key(read('t', Int32Array.of(1)))).not.toBe(key(read('u', Int32Array.of(1))));
    expect(key(read('t', Int32Array.of(1)))).not.toBe(key(read('t', Uint8Array.of(1))));
    const [a, b] = [tableOf('t', Int32Array.of(1)), tableOf('t', Int32Array.of(1))];
    expect(key(lookup(a, q).add(lookup(a, k)))).not.toBe(key(lookup(a, q).add(lookup(b, k))));
    expect(tablesOf(lookup(b, q).add(lookup(a, k)).add(lookup(b, k)))).toEqual([b, a]);
  });
});

describe('liftConstants', () => {
  it('keeps the value of every expression', () => {
    fc.assert(
      fc.property(anyExpression, point, (e, at) => {
        const { expression, values } = liftConstants(e);
        expect(evaluate(expression, at, { parameters: values })).toBe(evaluate(e, at));
      }),
    );
  });

  it('gives one program to masks that differ in their numbers only', () => {
    const band = (radius: number): ReturnType<typeof liftConstants> => liftConstants(q.sub(k).abs().le(radius));
    expect(key(band(256).expression)).toBe(key(band(7).expression));
    expect(band(256).values).toEqual([256]);
    expect(band(256).types).toEqual(['i32']);
    expect(key(band(1).expression)).not.toBe(key(band(7).expression));
  });

  it('shares a slot between equal literals of one type and numbers slots from the given one', () => {
    const e = score.mul(3).add(3).sub(q.mul(3).toF32());
    const { expression, values, types } = liftConstants(e, 2);
    expect(values).toEqual([3, 3]);
    expect(types).toEqual(['f32', 'i32']);
    expect(print(expression)).toBe('score * $2 + $2 - f32(q * $3)');
  });
});

describe('simplify and substitute', () => {
  it('keeps the value of every expression', () => {
    fc.assert(
      fc.property(anyExpression, point, (e, at) => {
        const [before, after] = [evaluate(e, at), evaluate(simplify(e), at)];
        if (before !== after && !(Number.isNaN(before) && Number.isNaN(after)))
          throw new Error(`${print(e)} → ${print(simplify(e))}: ${before}, ${after}`);
      }),
      { numRuns: 500 },
    );
  });

  it('leaves what is simple as the same object', () => {
    const e = q.sub(k).le(3);
    expect(simplify(e)).toBe(e);
    expect(print(simplify(q.mul(1).add(0).sub(constant(2, 'i32').mul(3))))).toBe('q - 6');
    expect(print(simplify(q.lt(k).and(true).or(false)))).toBe('q < k');
  });

  it('does not fold 0 · x of f32, which may be NaN', () => {
    expect(print(simplify(score.mul(0)))).toBe('score * 0');
  });

  it('replaces variables by expressions of their type', () => {
    expect(print(substitute(q.sub(k), { k: q.add(1) }))).toBe('q - (q + 1)');
    expect(() => substitute(q.sub(k), { k: score })).toThrow(/variable "k" is i32; its replacement is f32/);
  });

  it('rebuilds shared nodes once', () => {
    let shared = score;
    for (let i = 0; i < 60; i++) shared = shared.add(shared);
    let visits = 0;
    rebuild(shared, (e) => {
      visits++;
      return e;
    });
    expect(visits).toBe(61);
    expect(compile(shared, ['score'])(1)).toBe(2 ** 60);
    expect(key(shared).length).toBeLessThan(3000);
    expect(wrap(simplify(shared))).toBeInstanceOf(F32);
  });
});
