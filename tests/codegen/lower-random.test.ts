import fc from 'fast-check';
import { expect, test } from 'vitest';
import { evaluate, hostData, print, tablesOf, type Expression } from '../../src/codegen/expression/index.js';
import { lowerVector, type Environment, type Lowered } from '../../src/codegen/lower.js';
import type { I32, Pointer, VectorBuilder } from '../../src/codegen/vector.js';
import type { Kernel } from '../../src/kernels/kernel.js';
import { onEveryTarget, targets, type Target } from '../support/targets.js';
import { generator } from '../support/random.js';
import { enclose, holds } from './enclose.js';
import { anyExpression, point } from './expression/arbitrary.js';

const names = ['x', 'y', 'q', 'k'] as const;
type Point = Readonly<Record<(typeof names)[number], number>>;
/** Which variables are vectors. */
const mixtures: readonly (readonly (typeof names)[number][])[] = [names, ['q'], ['x', 'k'], []];
const POINTS = 48;

/** The point that lane `i` of a mixture sees: scalars come from the first point of its vector. */
const seen = (points: readonly Point[], width: number, vectors: readonly string[], i: number): Point =>
  Object.fromEntries(names.map((name) => [name, points[vectors.includes(name) ? i : i - (i % width)]![name]])) as Point;

/** Arguments: the variables, the tables of the expressions, out: per expression and mixture one number per point. */
function kernelOf(expressions: readonly Expression[]): Kernel {
  const tables = [...new Set(expressions.flatMap((e) => tablesOf(e)))];
  return {
    name: 'random expressions',
    key: '',
    parameters: [...names, ...tables, 'out'].map(() => 'pointer' as const),
    cpu: (k) => {
      const pointers = names.map((_, i) => k.parameter(i, 'pointer'));
      const bound = tables.map((table, i) => ({
        pointer: k.parameter(names.length + i, 'pointer'),
        dimensions: table.shape.map((extent) => k.constant('i32', extent)),
      }));
      const out = k.parameter(names.length + tables.length, 'pointer');
      const table: Environment['table'] = (t) => bound[tables.indexOf(t)]!;
      k.loop(0, POINTS, (i) => writeAll(k, expressions, pointers, i, k.offset(out, i, 4), table), k.width);
    },
  };
}

function writeAll(
  k: VectorBuilder,
  expressions: readonly Expression[],
  pointers: readonly Pointer[],
  i: I32,
  out: Pointer,
  table: Environment['table'],
): void {
  mixtures.forEach((vectors, m) => {
    const variables: Record<string, Lowered> = {};
    names.forEach((name, n) => {
      const at = k.offset(pointers[n]!, i, 4);
      const float = name === 'x' || name === 'y';
      if (vectors.includes(name)) variables[name] = float ? k.loadVF(at) : k.loadVI(at);
      else variables[name] = float ? k.loadF32(at) : k.loadI32(at);
    });
    expressions.forEach((e, n) => {
      const value = lowerVector(k, e, { variables, table: table! });
      k.store(out, e.type === 'f32' ? value : k.toFloat(value as never), 4 * POINTS * (n * mixtures.length + m));
    });
  });
}

/** Runs expressions at points and names the first result that is not what they mean; also how many were decided. */
function disagreement(target: Target, expressions: readonly Expression[], points: readonly Point[], kernel = kernelOf(expressions)): [string | undefined, number] {
  const tables = [...new Set(expressions.flatMap((e) => tablesOf(e)))].map((table) => hostData(table)!);
  const inputs = names.map((name) => (name === 'x' || name === 'y' ? Float32Array : Int32Array).from(points, (p) => p[name]));
  const out = new Float32Array(POINTS * mixtures.length * expressions.length);
  target.run(kernel, [...inputs, ...tables, out]);
  let decided = 0;
  for (const [n, e] of expressions.entries()) {
    for (const [m, vectors] of mixtures.entries()) {
      for (let i = 0; i < POINTS; i++) {
        const at = seen(points, target.width, vectors, i);
        const known = enclose(e, at);
        if (known === undefined) continue;
        decided++;
        // a truth value in all lanes is 0 or −1
        const got = out[POINTS * (n * mixtures.length + m) + i]! * (e.type === 'bool' ? -1 : 1);
        if (holds(known, got)) continue;
        const where = `${print(e)} at ${JSON.stringify(at)} with vectors ${vectors.join()}`;
        return [`${where}: got ${got}, want ${evaluate(e, at)} in [${known.lo}, ${known.hi}]`, decided];
      }
    }
  }
  return [undefined, decided];
}

const arrays = fc.array(point, { minLength: POINTS, maxLength: POINTS }) as fc.Arbitrary<readonly Point[]>;
const somePoints = fc.sample(arrays, { seed: 3, numRuns: 1 })[0]!;

test('the enclosures hold the float64 meaning and are mostly narrow', () => {
  let [decided, narrow, all] = [0, 0, 0];
  for (const e of fc.sample(anyExpression, { seed: 21, numRuns: 300 })) {
    for (const p of somePoints) {
      all++;
      const at = { ...p, x: Math.fround(p.x), y: Math.fround(p.y) };
      const known = enclose(e, at);
      if (known === undefined) continue;
      decided++;
      const value = evaluate(e, at);
      // rounding to infinity and to 0 is rounding
      expect(holds(known, Math.fround(value)), `${print(e)} at ${JSON.stringify(at)}: ${value} in [${known.lo}, ${known.hi}]`).toBe(true);
      if (Object.is(known.lo, known.hi) || known.hi - known.lo <= 1e-5 * (Math.abs(value) + 1)) narrow++;
    }
  }
  expect(decided).toBeGreaterThan(0.9 * all);
  expect(narrow).toBeGreaterThan(0.95 * decided);
});

onEveryTarget(
  (target) => {
    test('random expressions of vectors and scalars are what they mean', () => {
      const property = fc.property(fc.array(anyExpression, { minLength: 1, maxLength: 6 }), arrays, (expressions, points) => {
        expect(disagreement(target, expressions, points)[0]).toBeUndefined();
      });
      fc.assert(property, { numRuns: 60, seed: 8 });
    });
  },
  ({ name }) => name.startsWith('wasm'),
);

// one compile for many expressions, without shrinking
const batch = fc.sample(anyExpression, { seed: 17, numRuns: 40 });
onEveryTarget(
  (target) => {
    test(`${batch.length} expressions of vectors and scalars are what they mean`, () => {
      const next = generator(2);
      const points = somePoints.map((p) => ({ ...p, x: Math.fround(p.x * next()), q: p.q + 1 }));
      const [wrong, decided] = disagreement(target, batch, points);
      expect(wrong).toBeUndefined();
      expect(decided).toBeGreaterThan(0.9 * batch.length * mixtures.length * POINTS);
    });
  },
  ({ name, width }) => name.startsWith('native') && width === Math.max(...targets.map((target) => target.width)),
);
