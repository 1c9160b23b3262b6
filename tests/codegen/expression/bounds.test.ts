// of codegen/expression/{bound-functions,bound-rules,intervals,lanes}

import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  boundLanes,
  bounds,
  evaluate,
  lookup,
  meaning,
  print,
  provablyInRange,
  rebuild,
  tableOf,
  topological,
  variable,
  select,
  type Expression,
  type F32,
  type Interval,
} from '../../../src/codegen/expression/index.js';
import { tableRange } from '../../../src/codegen/expression/table-range.js';
import { anyExpression, expressions, point } from './arbitrary.js';

const [q, k, x] = [variable('q', 'i32'), variable('k', 'i32'), variable('x', 'f32')];
const widths = fc.record({
  x: fc.double({ min: 0, max: 3, noNaN: true }),
  q: fc.nat(9),
  k: fc.nat(9),
  side: fc.double({ min: 0, max: 1, noNaN: true }),
});

type Point = { x: number; y: number; q: number; k: number };

/** A box that holds the point. */
function around(at: Point, width: { x: number; q: number; k: number; side: number }): Record<string, Interval> {
  const whole = (value: number, size: number): Interval => {
    const low = value - Math.floor(size * width.side);
    return [low, low + size];
  };
  return {
    x: [at.x - width.x * width.side, at.x + width.x],
    y: [at.y, at.y],
    q: whole(at.q, width.q),
    k: whole(at.k, width.k),
  };
}

/** As kernels compute: every f32 result rounded. */
function inF32(expression: Expression, at: Record<string, number>): number {
  const values = new Map<Expression, number>();
  for (const e of topological(expression)) {
    const [a = 0, b = 0, c = 0] = e.args.map((arg) => values.get(arg)!);
    const leaf = e.op === 'constant' || e.op === 'variable' || e.op === 'table' || e.op === 'parameter';
    const value = leaf
      ? e.op === 'table'
        ? readTable(e, [a, b])
        : e.op === 'variable'
          ? at[e.name!]!
          : e.value!
      : meaning[e.op](a, b, c);
    values.set(e, e.type === 'f32' ? Math.fround(value) : value);
  }
  return values.get(expression)!;
}
const readTable = (e: Expression, index: number[]): number => {
  const names = ['q', 'k'].slice(0, e.args.length);
  const plain = { ...e, args: names.map((name) => variable(name, 'i32')) };
  return evaluate(plain, Object.fromEntries(names.map((name, i) => [name, index[i]!])));
};

describe('bounds', () => {
  it('hold the value at every point of the box, in real and in f32 arithmetic', () => {
    fc.assert(
      fc.property(anyExpression, point, widths, (e, at, width) => {
        const [low, high] = bounds(e, around(at, width));
        for (const value of [evaluate(e, at), inF32(e, at)]) {
          if (!Number.isNaN(value) && !(value >= low && value <= high))
            throw new Error(`${print(e)} = ${value} outside [${low}, ${high}]`);
        }
      }),
      { numRuns: 3000 },
    );
  });

  it('are exact for integer points', () => {
    fc.assert(
      fc.property(fc.oneof(expressions.i32, expressions.bool), point, (e, at) => {
        fc.pre(topological(e).every((node) => node.type !== 'f32'));
        const box = Object.fromEntries(Object.entries(at).map(([name, value]) => [name, [value, value] as const]));
        const value = evaluate(e, at) + 0;
        expect(bounds(e, box).map((bound) => bound + 0)).toEqual([value, value]);
      }),
      { numRuns: 1000 },
    );
  });

  it('hold for many boxes at once', () => {
    fc.assert(
      fc.property(anyExpression, fc.array(fc.tuple(point, widths), { minLength: 1, maxLength: 5 }), (e, list) => {
        const boxes = list.map(([at, width]) => around(at, width));
        const lanes = (name: string) => ({
          lo: Float64Array.from(boxes, (box) => box[name]![0]),
          hi: Float64Array.from(boxes, (box) => box[name]![1]),
        });
        const { lo, hi } = boundLanes(e, { x: lanes('x'), y: lanes('y'), q: lanes('q'), k: lanes('k') });
        boxes.forEach((box, i) => {
          // a box alone may be known to be a point, and bounded better
          const [low, high] = bounds(e, box);
          expect(lo[Math.min(i, lo.length - 1)]!).toBeLessThanOrEqual(low);
          expect(hi[Math.min(i, hi.length - 1)]!).toBeGreaterThanOrEqual(high);
          expect(evaluate(e, list[i]![0])).not.toBeLessThan(lo[Math.min(i, lo.length - 1)]!);
        });
      }),
      { numRuns: 500 },
    );
  });

  it('stay as they are while others are computed in memory that was used before', () => {
    // as many boxes as intermediate results are kept for
    const boxes = fc.array(fc.tuple(point, widths), { minLength: 16, maxLength: 18 });
    const lanesOf = (list: readonly (readonly [Point, { x: number; q: number; k: number; side: number }])[]) => {
      const all = list.map(([at, width]) => around(at, width));
      const lanes = ['x', 'y', 'q', 'k'].map((name) => [
        name,
        {
          lo: Float64Array.from(all, (box) => box[name]![0]),
          hi: Float64Array.from(all, (box) => box[name]![1]),
        },
      ]);
      return Object.fromEntries(lanes) as Parameters<typeof boundLanes>[1];
    };
    fc.assert(
      fc.property(fc.array(anyExpression, { minLength: 2, maxLength: 4 }), boxes, (several, list) => {
        const lanes = lanesOf(list);
        const held = several.map((e) => boundLanes(e, lanes));
        held.forEach(({ lo, hi }, n) => {
          list.forEach(([at, width], i) => {
            const [low, high] = bounds(several[n]!, around(at, width));
            expect(lo[Math.min(i, lo.length - 1)]!).toBeLessThanOrEqual(low);
            expect(hi[Math.min(i, hi.length - 1)]!).toBeGreaterThanOrEqual(high);
          });
        });
        const again = several.map((e) => boundLanes(e, lanes));
        expect(held).toEqual(again);
      }),
      { numRuns: 200 },
    );
  });

  it('grow by four units in the last place of f32, of IEEE operations only where they round', () => {
    const ulps = (e: Expression, value: number): number[] => {
      const [low, high] = bounds(e, { x: [1.25, 1.25] });
      return [(value - low) / Math.abs(value), (high - value) / Math.abs(value)];
    };
    for (const [e, value] of [
      [x.exp(), Math.exp(1.25)],
      [x.log(), Math.log(1.25)],
      [x.tanh(), Math.tanh(1.25)],
      [x.sin(), Math.sin(1.25)],
      [x.add(0.1), 1.25 + 0.1],
      [x.mul(0.1), 1.25 * 0.1],
    ] as const) {
      for (const grown of ulps(e, value)) expect(grown).toBeGreaterThan(0.99 * 2 ** -21);
    }
    for (const [e, value] of [
      [x.sqrt().mul(x.sqrt()).floor(), 1],
      [x.mul(4).sqrt().mul(0), 0],
      [x.add(0.5), 1.75],
      [x.div(2), 0.625],
    ] as const) {
      expect(bounds(e, { x: [1.25, 1.25] })).toEqual([value, value]);
    }
  });

  it.each<[string, Expression, Interval]>([
    ['a sum', q.add(k), [1, 30]],
    ['a difference', q.sub(k), [-9, 20]],
    ['a scaled one', q.mul(-2), [-40, -2]],
    ['a modulus within one turn', q.add(20).mod(50), [21, 40]],
    ['a modulus across turns', q.mod(7), [0, 6]],
    ['a negative modulus', q.mod(-7), [-6, 0]],
    ['a quotient', q.floorDiv(3), [0, 6]],
    ['a quotient by something that may be 0', q.floorDiv(k), [-20, 20]],
    ['an absolute value', q.sub(10).abs(), [0, 10]],
    ['a comparison that always holds', k.lt(11), [1, 1]],
    ['one that never does', k.gt(q.add(9)), [0, 0]],
    ['one that may', k.gt(q), [0, 1]],
    ['an inequality of apart ranges', k.add(100).ne(q), [1, 1]],
    [
      'a table',
      lookup(
        tableOf(
          't',
          Int32Array.from({ length: 30 }, (_, i) => i * i),
        ),
        q,
      ),
      [1, 400],
    ],
  ])('of %s', (_, e, expected) => {
    expect(bounds(e, { q: [1, 20], k: [0, 10] }).map((bound) => bound + 0)).toEqual(expected);
  });

  it('are the least and greatest value of integer operations over every small box', () => {
    const intervals = Array.from({ length: 9 }, (_, a) =>
      Array.from({ length: 9 - a }, (_, w): Interval => [a - 4, a - 4 + w]),
    ).flat();
    const operations = {
      add: q.add(k),
      sub: q.sub(k),
      mul: q.mul(k),
      floorDiv: q.floorDiv(k),
      mod: q.mod(k),
      min: q.min(k),
      max: q.max(k),
    };
    for (const [name, e] of Object.entries(operations)) {
      for (const box of intervals.flatMap((a) => intervals.map((b) => ({ q: a, k: b })))) {
        let [least, most] = [Infinity, -Infinity];
        for (let a = box.q[0]; a <= box.q[1]; a++) {
          for (let b = box.k[0]; b <= box.k[1]; b++) {
            const value = evaluate(e, { q: a, k: b });
            [least, most] = [Math.min(least, value), Math.max(most, value)];
          }
        }
        const [low, high] = bounds(e, box);
        // a divisor that varies is only bounded
        const exact = (name !== 'mod' && name !== 'floorDiv') || (box.k[0] === box.k[1] && box.k[0] !== 0);
        const holds = exact ? low === least && high === most : low <= least && high >= most;
        if (!holds)
          throw new Error(`${name} over ${JSON.stringify(box)} is [${low}, ${high}], not [${least}, ${most}]`);
      }
    }
  });

  describe('are everything where a value may be NaN', () => {
    const ends = [-Infinity, -(2 ** 127), -2, -0, 0, 1, 2 ** 127, Infinity];
    const intervals = ends.flatMap((low, i) => ends.slice(i).map((high): Interval => [low, high]));
    /** What a box may hold: everything may be a NaN. */
    const members = ([low, high]: Interval): number[] => {
      const all = [low, high, ...(low <= 0 && high >= 0 ? [0] : [])];
      return low === -Infinity && high === Infinity ? [...all, NaN] : all;
    };
    const check = (e: Expression, box: Record<string, Interval>, values: Record<string, number>): number => {
      const value = inF32(e, values);
      const lanes = Object.entries(box).map(([name, [low, high]]) => [
        name,
        { lo: Float64Array.of(low, low), hi: Float64Array.of(high, high) },
      ]);
      const { lo, hi } = boundLanes(e, Object.fromEntries(lanes) as Parameters<typeof boundLanes>[1]);
      for (const [low, high] of [bounds(e, box), [lo.at(-1)!, hi.at(-1)!]] as const) {
        const holds = Number.isNaN(value) ? low === -Infinity && high === Infinity : value >= low && value <= high;
        if (!holds) throw new Error(`${print(e)} = ${value} at ${String(Object.entries(values))}: [${low}, ${high}]`);
      }
      return Number(Number.isNaN(value));
    };
    const y = variable('y', 'f32');
    const whole = [
      x.toI32().toF32(),
      x.neg(),
      x.abs(),
      x.sqrt(),
      x.exp(),
      x.log(),
      x.tanh(),
      x.erf(),
      x.sin(),
      x.cos(),
      x.acos(),
    ];
    const unary = [...whole, x.floor(), x.ceil()];
    const binary = [x.add(y), x.sub(y), x.mul(y), x.div(y), x.min(y), x.max(y), x.pow(y), x.atan2(y)];
    const compared = [x.lt(y), x.le(y), x.gt(y), x.ge(y), x.eq(y), x.ne(y), select(x.lt(0), x, y)];

    it.each([...unary, ...binary, ...compared].map((e) => [print(e), e] as const))('%s', (_, e) => {
      let met = 0;
      for (const ofX of intervals) {
        for (const ofY of unary.includes(e as F32) ? intervals.slice(0, 1) : intervals) {
          for (const a of members(ofX)) {
            for (const b of members(ofY)) met += check(e, { x: ofX, y: ofY }, { x: a, y: b });
          }
        }
      }
      if (e.type === 'f32' && e !== unary[0]) expect(met).toBeGreaterThan(0);
    });

    it('in whole expressions', () => {
      let met = 0;
      const place = fc.tuple(fc.constantFrom(...intervals), fc.nat(3));
      fc.assert(
        fc.property(
          fc.oneof(expressions.f32, expressions.f32, expressions.bool),
          point,
          place,
          place,
          (e, at, one, two) => {
            const inside = ([interval, which]: typeof one): number => members(interval).at(which - 4) ?? interval[0];
            const box = { x: one[0], y: two[0], q: [at.q, at.q] as const, k: [at.k, at.k] as const };
            met += check(e, box, { ...at, x: inside(one), y: inside(two) });
          },
        ),
        { numRuns: 1000 },
      );
      expect(met).toBeGreaterThan(0);
    });
  });

  it('leave comparisons with what may be NaN undecided', () => {
    expect(bounds(x.log().mul(0).lt(1), { x: [-1, 1] })).toEqual([0, 1]);
    expect(bounds(x.sqrt().tanh().le(2), { x: [-1, 1] })).toEqual([0, 1]);
    expect(bounds(x.sqrt().tanh().le(2), { x: [0, 1] })).toEqual([1, 1]);
  });

  it('decide f32 comparisons only beyond rounding', () => {
    expect(bounds(q.toF32().mul(0.1).le(0.3), { q: [3, 3] })).toEqual([0, 1]);
    expect(bounds(q.toF32().mul(0.5).le(1.5), { q: [3, 3] })).toEqual([1, 1]);
    expect(bounds(q.toF32().mul(0.1).le(0.31), { q: [3, 3] })).toEqual([1, 1]);
  });

  it('take lifted parameters and refuse empty intervals', () => {
    const lifted = rebuild(q.lt(7), (e) =>
      e.op === 'constant' ? { op: 'parameter', type: 'i32', args: [], value: 0 } : e,
    );
    expect(bounds(lifted, { q: [0, 6] }, [7])).toEqual([1, 1]);
    expect(bounds(lifted, { q: [0, 6] })).toEqual([0, 1]);
    expect(() => bounds(q, { q: [2, 1] })).toThrow(/interval of "q" is empty/);
  });
});

describe('provablyInRange', () => {
  const table = tableOf('t', new Int32Array(12), [3, 4]);
  it('asks every index of every read', () => {
    expect(provablyInRange(lookup(table, q, k), { q: [0, 2], k: [0, 3] })).toBe(true);
    expect(provablyInRange(lookup(table, q, k), { q: [0, 2], k: [0, 4] })).toBe(false);
    expect(provablyInRange(lookup(table, q, k).add(1), { q: [-1, 2], k: [0, 3] })).toBe(false);
    expect(provablyInRange(lookup(table, q.mod(3), k.max(0).min(3)), {})).toBe(true);
  });
});

describe('tableRange', () => {
  it('is the least and greatest entry of any box', () => {
    const box = fc.tuple(fc.integer({ min: -3, max: 6 }), fc.nat(6), fc.integer({ min: -5, max: 700 }), fc.nat(700));
    fc.assert(
      fc.property(fc.integer(), box, (seed, [row, rows, column, columns]) => {
        const shape = [4, 613];
        let state = seed >>> 0;
        const data = Float32Array.from(
          { length: 4 * 613 },
          () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32,
        );
        const range = new Float64Array(2);
        tableRange(tableOf('t', data, shape), [row, column], [row + rows, column + columns], range);
        let [low, high] = [Infinity, -Infinity];
        for (let i = row; i <= row + rows; i++) {
          for (let j = column; j <= column + columns; j++) {
            const value = i >= 0 && i < 4 && j >= 0 && j < 613 ? data[i * 613 + j]! : 0;
            [low, high] = [Math.min(low, value), Math.max(high, value)];
          }
        }
        expect([...range]).toEqual([low, high]);
      }),
    );
  });
});
