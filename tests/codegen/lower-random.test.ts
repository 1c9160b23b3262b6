import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { evaluate, print, variable, type Expression } from '../../src/codegen/expression/index.js';
import { onEveryTarget, targets, type Target } from '../support/targets.js';
import { enclose, holds } from './enclose.js';
import { anyExpression, point } from './expression/arbitrary.js';
import { everyMixture, oneMixture, runLowered, type Point } from './lower-run.js';

const POINTS = 48;

/** Names the first result that is not what its expression means, and how many could be decided. */
function disagreement(
  target: Target,
  expressions: readonly Expression[],
  points: readonly Point[],
  mixing = everyMixture,
): [wrong: string | undefined, decided: number] {
  let decided = 0;
  for (const { expression, at, vectors, got } of runLowered(target, expressions, points, { mixing })) {
    const known = enclose(expression, at);
    if (known === undefined) continue;
    decided++;
    if (holds(known, got)) continue;
    const where = `${print(expression)} at ${JSON.stringify(at)} with vectors ${vectors.join()}`;
    return [`${where}: got ${got}, want ${evaluate(expression, { ...at })} in [${known.lo}, ${known.hi}]`, decided];
  }
  return [undefined, decided];
}

const pointLists: fc.Arbitrary<readonly Point[]> = fc.array(point, { minLength: POINTS, maxLength: POINTS });
const somePoints = fc.sample(pointLists, { seed: 3, numRuns: 1 })[0]!;

test('the enclosures hold the float64 meaning and are mostly narrow', () => {
  let [decided, narrow, all] = [0, 0, 0];
  for (const e of fc.sample(anyExpression, { seed: 21, numRuns: 200 })) {
    for (const p of somePoints) {
      all++;
      const at = { ...p, x: Math.fround(p.x), y: Math.fround(p.y) };
      const known = enclose(e, at);
      if (known === undefined) continue;
      decided++;
      const value = evaluate(e, at);
      // rounding to infinity and to 0 is rounding
      const held = holds(known, Math.fround(value));
      expect(held, `${print(e)} at ${JSON.stringify(at)}: ${value} in [${known.lo}, ${known.hi}]`).toBe(true);
      if (Object.is(known.lo, known.hi) || known.hi - known.lo <= 1e-5 * (Math.abs(value) + 1)) narrow++;
    }
  }
  expect(decided).toBeGreaterThan(0.9 * all);
  expect(narrow).toBeGreaterThan(0.95 * decided);
});

onEveryTarget(
  (target) => {
    test('random expressions of vectors and scalars are what they mean', () => {
      const some = fc.array(anyExpression, { minLength: 1, maxLength: 6 });
      const property = fc.property(some, pointLists, (expressions, points) => {
        expect(disagreement(target, expressions, points)[0]).toBeUndefined();
      });
      fc.assert(property, { numRuns: 40, seed: 8 });
    });
  },
  ({ name }) => name.startsWith('wasm'),
);

// few compiles for many expressions, so without shrinking
const [x, y] = [variable('x', 'f32'), variable('y', 'f32')];
const functions = [x.exp(), x.log(), x.tanh(), x.erf(), x.sin(), y.cos(), x.exp().add(y.tanh())].concat([
  x.div(4).acos(),
  x.atan2(y),
  x.abs().pow(y),
  x.pow(y),
]);
const batch = fc.sample(anyExpression, { seed: 17, numRuns: 40 });
onEveryTarget(
  (target) => {
    test.each([
      [functions.length, 'functions', functions, everyMixture, 4],
      [batch.length, 'random expressions', batch, oneMixture, 1],
    ] as const)('%i %s of vectors and scalars are what they mean', (_, _name, expressions, mixing, ways) => {
      const [wrong, decided] = disagreement(target, expressions, somePoints, mixing);
      expect(wrong).toBeUndefined();
      expect(decided).toBeGreaterThan(0.9 * expressions.length * ways * POINTS);
    });
  },
  ({ name, width }) => name === 'wasm' || width === Math.max(...targets.map((target) => target.width)),
);
