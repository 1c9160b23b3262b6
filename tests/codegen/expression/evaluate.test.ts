import { describe, expect, it } from 'vitest';
import { constant, evaluate, lookup, tableOf, variable, type Table } from '../../../src/codegen/expression/index.js';
import { erf } from '../../../src/codegen/expression/evaluate.js';

const [q, k, x] = [variable('q', 'i32'), variable('k', 'i32'), variable('x', 'f32')];

describe('evaluate', () => {
  it('takes the sign of the divisor in mod and rounds down in floorDiv', () => {
    const of = (a: number, b: number): number[] => [
      evaluate(q.floorDiv(k), { q: a, k: b }),
      evaluate(q.mod(k), { q: a, k: b }) + 0,
    ];
    expect(of(7, 3)).toEqual([2, 1]);
    expect(of(-7, 3)).toEqual([-3, 2]);
    expect(of(7, -3)).toEqual([-3, -2]);
    expect(of(-7, -3)).toEqual([2, -1]);
    expect(of(6, -3)).toEqual([-2, 0]);
    expect(of(5, 0)).toEqual([0, 0]);
  });

  it('truncates and saturates conversions to i32', () => {
    const to = (value: number): number => evaluate(x.toI32(), { x: value });
    expect([to(2.9), to(-2.9) + 0, to(NaN), to(1e20), to(-1e20)]).toEqual([2, -2, 0, 2 ** 31 - 1, -(2 ** 31)]);
  });

  it('reads 0 outside a table, in any dimension', () => {
    const table = tableOf('t', Int32Array.of(1, 2, 3, 4, 5, 6), [2, 3]);
    const read = (i: number, j: number): number => evaluate(lookup(table, q, k), { q: i, k: j });
    expect([read(0, 0), read(1, 2), read(0, 3), read(0, -1), read(2, 0), read(-1, 2)]).toEqual([1, 6, 0, 0, 0, 0]);
  });

  it('takes the numbers of device tables from the caller', () => {
    const table: Table = { name: 'learned', dtype: 'f32', shape: [2], source: {} };
    const e = lookup(table, q);
    expect(() => evaluate(e, { q: 0 })).toThrow(/no value was given for device table "learned"/);
    expect(evaluate(e, { q: 1 }, { tables: new Map([[table, [4, 5]]]) })).toBe(5);
  });

  it('names the variable that has no value', () => {
    expect(() => evaluate(q.add(k), { q: 1 })).toThrow(/no value was given for variable "k"/);
  });

  it('knows erf to 1e-15', () => {
    // Abramowitz and Stegun, table 7.1, and mpmath
    const known: [number, number][] = [
      [0.1, 0.1124629160182849],
      [0.5, 0.5204998778130465],
      [1, 0.8427007929497149],
      [2, 0.9953222650189527],
      [3.5, 0.9999992569016276],
    ];
    for (const [at, value] of known) {
      expect(Math.abs(erf(at) - value)).toBeLessThan(1e-15);
      expect(erf(-at)).toBe(-erf(at));
    }
    expect([erf(0), erf(7), erf(-Infinity), erf(NaN)]).toEqual([0, 1, -1, NaN]);
  });

  it('gives booleans as 0 and 1', () => {
    expect(evaluate(q.lt(k).and(true).not().toF32().add(1), { q: 0, k: 1 })).toBe(1);
    expect(evaluate(constant(true), {})).toBe(1);
  });
});
