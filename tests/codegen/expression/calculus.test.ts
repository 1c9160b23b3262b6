// of codegen/expression/{affine,differentiate}

import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  bounds,
  constant,
  differences,
  differentiate,
  differentiateTable,
  evaluate,
  freeVariables,
  lookup,
  print,
  select,
  separate,
  tableOf,
  topological,
  variable,
  type Expression,
  type F32,
  type Table,
} from '../../../src/codegen/expression/index.js';
import { anyExpression, expressions, point } from './arbitrary.js';

const [q, k, x, y] = [variable('q', 'i32'), variable('k', 'i32'), variable('x', 'f32'), variable('y', 'f32')];

describe('differentiate', () => {
  it.each<[F32, string]>([
    [x.mul(3).add(y), '3'],
    [x.mul(x), 'x + x'],
    [x.mul(y).sin(), 'y * cos(x * y)'],
    [x.div(5).tanh().mul(5), '1 - tanh(x / 5) * tanh(x / 5)'],
    [x.exp().log(), 'exp(x) / exp(x)'],
    [x.sqrt(), '1 / (2 * sqrt(x))'],
    [x.max(0), 'select(x > 0, 1, 0)'],
    [x.abs(), 'select(x < 0, -1, 1)'],
    [select(x.lt(y), x, y.mul(2)), 'select(x < y, 1, 0)'],
    [x.floor().add(q.toF32()).add(x.lt(y).toF32()), '0'],
    [y.log().mul(7), '0'],
  ])('%#', (e, derivative) => {
    expect(print(differentiate(e, 'x'))).toBe(derivative);
  });

  const f = x.mul(0.7).add(0.4);
  it.each<[string, F32, (u: number) => number]>([
    ['neg', f.neg(), () => -1],
    ['abs', f.abs(), Math.sign],
    ['sqrt', f.mul(f).sqrt(), Math.sign],
    ['exp', f.exp(), Math.exp],
    ['log', f.mul(f).log(), (u) => 2 / u],
    ['tanh', f.tanh(), (u) => 1 - Math.tanh(u) ** 2],
    ['erf', f.erf(), (u) => (2 / Math.sqrt(Math.PI)) * Math.exp(-u * u)],
    ['sin', f.sin(), Math.cos],
    ['cos', f.cos(), (u) => -Math.sin(u)],
    ['acos', f.div(3).acos(), (u) => -1 / Math.sqrt(9 - u * u)],
    ['atan2 by y', f.atan2(0.6), (u) => 0.6 / (u * u + 0.36)],
    ['atan2 by x', constant(-0.6).atan2(f), (u) => 0.6 / (u * u + 0.36)],
    ['pow by the base', f.abs().pow(2.5), (u) => 2.5 * Math.abs(u) ** 1.5 * Math.sign(u)],
    ['pow by the exponent', constant(1.7).pow(f), (u) => 1.7 ** u * Math.log(1.7)],
    ['pow by both', f.abs().pow(f), (u) => Math.abs(u) ** u * (Math.log(Math.abs(u)) + 1)],
    ['pow of a literal whole number', f.pow(-3), (u) => -3 / u ** 4],
    ['div', f.div(f.mul(f).add(1)), (u) => (1 - u * u) / (u * u + 1) ** 2],
    ['min', f.min(0.5), (u) => Number(u < 0.5)],
    ['max', f.max(0.5), (u) => Number(u > 0.5)],
  ])('of %s', (_, e, slope) => {
    for (const at of [-3, -0.9, 0.2, 1.7]) {
      const [value, expected] = [evaluate(differentiate(e, 'x'), { x: at }), 0.7 * slope(0.7 * at + 0.4)];
      expect(Math.abs(value - expected)).toBeLessThan(1e-12);
    }
  });

  it('agrees with central differences', () => {
    let compared = 0;
    fc.assert(
      fc.property(expressions.f32, point, (e, at) => {
        const slope = (step: number): number =>
          (evaluate(e, { ...at, x: at.x + step }) - evaluate(e, { ...at, x: at.x - step })) / (2 * step);
        const value = evaluate(differentiate(e, 'x'), at);
        const [coarse, fine] = [slope(2e-5), slope(1e-5)];
        // kinks, jumps, cancellation and poles are not what central differences can tell
        const smooth = Math.abs(coarse - fine) <= 1e-4 * Math.max(1, Math.abs(fine)) && Math.abs(evaluate(e, at)) < 1e4;
        const onEdge =
          evaluate(e, { ...at, x: at.x + 1e-5 }) - 2 * evaluate(e, at) + evaluate(e, { ...at, x: at.x - 1e-5 });
        fc.pre(Number.isFinite(coarse) && smooth && Math.abs(onEdge) < 1e-8 * Math.max(1, Math.abs(evaluate(e, at))));
        compared++;
        if (!(Math.abs(value - fine) <= 1e-3 * Math.max(1, Math.abs(fine)))) {
          throw new Error(`d(${print(e)}) = ${print(differentiate(e, 'x'))} = ${value}, central difference ${fine}`);
        }
      }),
      // which points a central difference can judge is a matter of thresholds, so the draw is fixed
      { numRuns: 1500, seed: 7 },
    );
    expect(compared).toBeGreaterThan(500);
  });

  it('refuses what has no derivative', () => {
    expect(() => differentiate(q.add(1), 'q')).toThrow(/takes an f32 expression; got i32/);
    expect(() => differentiate(q.toF32(), 'q')).toThrow(/"q" is i32; only f32 variables/);
  });
});

describe('differentiateTable', () => {
  const learned: Table & { dtype: 'f32' } = { name: 'learned', dtype: 'f32', shape: [4, 2], source: {} };
  const other: Table & { dtype: 'f32' } = { name: 'other', dtype: 'f32', shape: [4], source: {} };

  it('gives the factor of each read, joining equal ones', () => {
    const e = x
      .mul(lookup(learned, q, 1))
      .add(lookup(learned, q, 1).mul(lookup(other, k)))
      .tanh();
    const entries = differentiateTable(e);
    expect(entries.map(({ table, indices }) => `${table.name}[${indices.map(print).join()}]`).sort()).toEqual([
      'learned[q,1]',
      'other[k]',
    ]);
    const values = { q: 2, k: 3, x: 0.7 };
    const tables = (change: number, at: Table) =>
      new Map([
        [learned as Table, [0, 0, 0, 0, 0, 0.3 + (at === learned ? change : 0), 0, 0]],
        [other as Table, [0, 0, 0, 0.9 + (at === other ? change : 0)]],
      ]);
    for (const { table, factor } of entries) {
      const run = (change: number): number => evaluate(e, values, { tables: tables(change, table) });
      const slope = (run(1e-5) - run(-1e-5)) / 2e-5;
      expect(Math.abs(evaluate(factor, values, { tables: tables(0, table) }) - slope)).toBeLessThan(1e-9);
    }
  });

  it('leaves out other tables, integer tables and reads that do not count', () => {
    const ids = tableOf('ids', Int32Array.of(1, 2));
    const e = x.add(lookup(other, lookup(ids, q))).add(lookup(learned, q, k).floor());
    expect(differentiateTable(e).map((entry) => entry.table)).toEqual([other]);
    expect(differentiateTable(e, learned)).toEqual([]);
    expect(differentiateTable(e, (table) => table === other)).toHaveLength(1);
    expect(print(differentiateTable(e, other)[0]!.factor)).toBe('1');
  });
});

describe('differences', () => {
  it.each<[Expression, string]>([
    [k.le(q), 'd >= 0'],
    [k.lt(q), 'd > 0'],
    [k.ge(q), 'd <= 0'],
    [k.gt(q), 'd < 0'],
    [k.eq(q.add(2)), 'd = -2'],
    [k.ne(q), 'd != 0'],
    [q.sub(k).abs().le(256), '|d| <= 256'],
    [q.sub(k.add(3)).mod(4).eq(0), '(d - 3) mod 4 = 0'],
    [q.mod(4).eq(k.mod(4)), 'd mod 4 = 0'],
    [q.mul(2).lt(k.mul(2).add(7)), 'd * 2 < 7'],
    [k.sub(q).add(q).sub(k), '0'],
    [q.sub(k.mul(2)), 'q - k * 2'],
    [q.floorDiv(8).eq(k.floorDiv(8)), 'q // 8 = k // 8'],
    [q.mod(4).eq(k.mod(5)), 'q mod 4 = k mod 5'],
  ])('%#', (e, text) => {
    expect(print(differences(e))).toBe(text);
  });

  it('keep the value of every expression', () => {
    fc.assert(
      fc.property(anyExpression, point, (e, at) => {
        const [before, after] = [evaluate(e, at), evaluate(differences(e), { ...at, d: at.q - at.k })];
        if (before !== after && !(Number.isNaN(before) && Number.isNaN(after))) {
          throw new Error(`${print(e)} = ${before}, ${print(differences(e))} = ${after}`);
        }
      }),
      { numRuns: 1500 },
    );
  });

  it('make the bounds of a band exact', () => {
    const band = q.sub(k).le(5).and(q.sub(k).ge(-5));
    const box = { q: [0, 9], k: [0, 9], d: [-4, 4] } as const;
    expect(bounds(differences(band), box)).toEqual([1, 1]);
  });

  it('cost no more for shared nodes', () => {
    let e = q.sub(k);
    for (let i = 0; i < 40; i++) e = e.sub(e.add(1));
    expect(topological(differences(e.le(0))).length).toBeLessThan(10);
  });
});

describe('separate', () => {
  it('puts what reads the query left and the rest right', () => {
    const ids = tableOf('ids', Int32Array.of(1, 2, 3));
    const sides = separate(q.sub(lookup(ids, k)).lt(k.sub(lookup(ids, q)).add(4)), new Set(['q']))!;
    expect([...freeVariables(sides.left)]).toEqual(['q']);
    expect([...freeVariables(sides.right)]).toEqual(['k']);
    expect(separate(q.mul(k).lt(3), new Set(['q']))).toBeUndefined();
    expect(separate(x.lt(y), new Set(['x']))).toBeUndefined();
  });

  it('keeps the truth of integer comparisons', () => {
    fc.assert(
      fc.property(expressions.bool, point, (e, at) => {
        const sides = e.args.length === 2 && e.args[0]!.type === 'i32' ? separate(e, new Set(['q', 'x'])) : undefined;
        fc.pre(sides !== undefined);
        const swapped = { ...e, args: [sides.left, sides.right] };
        expect(evaluate(swapped, at)).toBe(evaluate(e, at));
      }),
      { numRuns: 300, maxSkipsPerRun: 1000 },
    );
  });
});
