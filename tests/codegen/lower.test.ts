import { describe, expect, test } from 'vitest';
import {
  compile,
  constant,
  liftConstants,
  lookup,
  print,
  select,
  tableOf,
  variable,
  type Expression,
} from '../../src/codegen/expression/index.js';
import { lower, type TableBinding } from '../../src/codegen/lower.js';
import { VectorBuilder, type Kind } from '../../src/codegen/vector.js';
import { generator } from '../support/random.js';
import { onEveryTarget } from '../support/targets.js';
import { runLowered, type LowerOptions, type Point } from './lower-run.js';

const [x, y, q, k] = [variable('x', 'f32'), variable('y', 'f32'), variable('q', 'i32'), variable('k', 'i32')];
const TOP = 2 ** 31 - 1;

const next = generator(5);
const floats = [
  NaN,
  0,
  -0,
  Infinity,
  -Infinity,
  1,
  -1,
  2.5,
  -2.5,
  2147483520,
  2147483648,
  -2147483648,
  -2147483904,
  1e20,
  -1e20,
  1e-40,
];
const integers = [0, 1, -1, 2, -2, 3, -7, 10, 65536, -65537, 16777217, 1431655765, TOP, TOP - 1, -TOP, -TOP + 1];
/** Whole numbers of all magnitudes below 2³¹. */
const integer = (): number => Math.trunc((next() - 0.5) * 2 ** (2 + 30 * next()));
/** All pairs of special numbers, then random ones. */
const points: readonly Point[] = Array.from({ length: 1024 }, (_, i) => {
  const pair = i < 256;
  return {
    x: pair ? floats[i >> 4]! : (next() - 0.5) * 10,
    y: pair ? floats[i & 15]! : (next() - 0.5) * 10,
    q: pair ? integers[i >> 4]! : integer(),
    k: pair ? integers[i & 15]! : integer(),
  };
});

const numbers = tableOf(
  'numbers',
  Float32Array.from({ length: 12 }, (_, i) => i + 0.5),
  [3, 4],
);
const list = tableOf('list', Int32Array.of(7, -8, TOP, 2 ** 24 + 1, 5));
const bytes = tableOf('bytes', Uint8Array.of(0, 255, 128, 1));

/** Everything here rounds at most once, so the kernel must give the rounded float64 result to the bit. */
const exact: readonly Expression[] = [
  q.floorDiv(k),
  q.mod(k),
  q.floorDiv(3).add(q.mod(3)),
  q.mod(-5),
  q.floorDiv(TOP),
  q.mod(TOP),
  x.min(y),
  x.max(y),
  q.min(k),
  q.max(k),
  x.neg(),
  x.abs(),
  q.neg(),
  q.abs(),
  x.floor(),
  x.ceil(),
  x.sqrt(),
  x.add(y),
  x.sub(y),
  x.mul(y),
  x.div(y),
  x.toI32(),
  q.toF32(),
  ...(['lt', 'le', 'gt', 'ge', 'eq', 'ne'] as const).flatMap((name) => [x[name](y), q[name](k)]),
  q.lt(k).and(x.lt(y)),
  q.lt(k).or(x.lt(y)).not(),
  x.ne(x).not().and(q.ge(0)).or(false),
  select(q.lt(k), x, y),
  select(x.lt(y), q, k),
  select(x.lt(0), q.lt(0), k.lt(0)),
  select(q.lt(k).and(true), x.lt(y), false),
  q.lt(k).toF32().add(x.lt(y).toF32()),
  constant(true),
  constant(-0),
  lookup(list, q),
  lookup(bytes, k),
  lookup(numbers, q, k),
  lookup(numbers, k.min(2), q.max(-1)),
  lookup(list, lookup(bytes, q)),
];
const meanings = new Map<Expression, (...at: number[]) => number>();
function meaningOf(e: Expression): (...at: number[]) => number {
  const known = meanings.get(e) ?? compile(e, ['x', 'y', 'q', 'k']);
  meanings.set(e, known);
  return known;
}
/** What is undefined in 32 bits: a quotient of 2³¹ does not occur, as −2³¹ is no operand here. */
const inRange = (e: Expression, value: number): boolean => e.type !== 'i32' || (value >= -TOP - 1 && value <= TOP);

onEveryTarget((target) => {
  const check = (expressions: readonly Expression[], at: readonly Point[], options: LowerOptions = {}): void => {
    const wrong: string[] = [];
    for (const result of runLowered(target, expressions, at, options)) {
      const { expression, vectors, got } = result;
      const { x, y, q, k } = result.at;
      const meant = meaningOf(expression)(x, y, q, k);
      const want = expression.type === 'f32' ? Math.fround(meant) : meant + 0;
      if (Object.is(got, want) || !inRange(expression, meant)) continue;
      if (wrong.length >= 20) break;
      const where = Object.entries(result.at).map(([name, value]) => `${name} ${Object.is(value, -0) ? '-0' : value}`);
      wrong.push(`${print(expression)}, ${where.join(', ')}, vectors ${vectors.join('')}: got ${got}, want ${want}`);
    }
    expect(wrong).toEqual([]);
  };

  test('special values, large integers, table edges, truth values, in vectors and scalars', () => check(exact, points));

  test('a quotient of 2³¹ ends no process', () => {
    const worst = Array.from({ length: 16 }, (_, i) => ({
      x: 0,
      y: 0,
      q: i % 2 === 0 ? -(2 ** 31) : TOP,
      k: i < 8 ? -1 : 0,
    }));
    check([q.floorDiv(k), q.mod(k)], worst);
  });

  test('lifted constants and reads that are known to be in range', () => {
    const { expression, values, types } = liftConstants(
      x
        .mul(0.3)
        .max(-2.5)
        .add(select(x.gt(0.3), y, 7)),
    );
    expect(types).toEqual(['f32', 'f32', 'f32']);
    const narrow = points.slice(256, 512).map((p) => ({ ...p, q: Math.abs(p.q) % 3, k: Math.abs(p.k) % 4 }));
    check([lookup(numbers, q, k), lookup(bytes, k)], narrow, { checked: () => false });
    const rounded = values.map(Math.fround);
    // x and y are quarters, so that nothing is rounded twice
    const quarters = narrow.map((p) => ({ ...p, x: Math.round(p.x), y: Math.round(p.y) }));
    for (const { at, got } of runLowered(target, [expression], quarters, { parameters: rounded })) {
      const product = at.x * rounded[0]!;
      const other = at.x > rounded[0]! ? at.y : rounded[2]!;
      const fused = Math.fround(Math.max(product, rounded[1]!) + other);
      const twice = Math.fround(Math.max(Math.fround(product), rounded[1]!) + other);
      expect([fused, twice]).toContain(got);
    }
  });
});

describe('what is lowered', () => {
  const kernel = { name: 'k', key: '', parameters: [], cpu: () => {} };
  const environment = (b: VectorBuilder, vectors: string): Parameters<typeof lower>[2] => {
    const value = (name: string, scalar: 'f32' | 'i32', vector: 'vf' | 'vi') =>
      b.constant(vectors.includes(name) ? vector : scalar, 0);
    const table = (): TableBinding => ({ pointer: b.scratch, dimensions: [b.begin] });
    return {
      table,
      variables: {
        x: value('x', 'f32', 'vf'),
        y: value('y', 'f32', 'vf'),
        q: value('q', 'i32', 'vi'),
        k: value('k', 'i32', 'vi'),
      },
    };
  };

  test('stays scalar where nothing is a vector, and is widened once', () => {
    const b = new VectorBuilder(kernel, 4);
    const kindOf = (e: Expression, vectors: string): Kind => lower(b, e, environment(b, vectors)).kind;
    expect(kindOf(x.add(y).exp(), '')).toBe('f32');
    expect(kindOf(q.lt(k), '')).toBe('i32');
    expect(kindOf(q.lt(k).toF32(), 'q')).toBe('vf');
    expect(kindOf(select(q.lt(k), x, y), 'k')).toBe('vf');
    expect(kindOf(lookup(list, q), 'k')).toBe('i32');
  });

  test('a shared part is computed once', () => {
    const b = new VectorBuilder(kernel, 4);
    const shared = x.exp();
    const alone = new VectorBuilder(kernel, 4);
    lower(alone, shared, environment(alone, 'x'));
    lower(b, shared.add(shared).mul(shared), environment(b, 'x'));
    const count = (builder: VectorBuilder): number => builder.finish().body.length;
    expect(count(b)).toBe(count(alone) + 2);
  });
});
