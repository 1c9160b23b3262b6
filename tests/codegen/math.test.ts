// of codegen/{inverse-trigonometric,power}

import { expect, test } from 'vitest';
import type { F32 } from '../../src/codegen/expression/index.js';
import { variable } from '../../src/codegen/expression/index.js';
import { runElementwise } from '../../src/tensor/elementwise.js';
import { empty, scope, tensor } from '../../src/tensor/index.js';
import { expOfNegative } from '../../src/codegen/math.js';
import type { Kernel } from '../../src/codegen/kernel.js';
import { erf } from '../oracles/functions.js';
import { onEveryDevice } from '../support/devices.js';
import { uniform } from '../support/random.js';
import { onEveryTarget } from '../support/targets.js';

const [x0, x1] = [variable('x0', 'f32'), variable('x1', 'f32')];

/** The distance of neighbouring f32 numbers at `value`. */
function ulp(value: number): number {
  const exponent = Math.max(-126, Math.floor(Math.log2(Math.abs(value))));
  return 2 ** (exponent - 23);
}

interface Case {
  readonly name: string;
  readonly expression: F32;
  readonly oracle: (x: number) => number;
  /** Ranges of arguments, each drawn evenly. */
  readonly ranges: readonly (readonly [number, number])[];
  /** Exact results, special values first of all. */
  readonly exact: readonly (readonly [x: number, y: number])[];
}

const cases: readonly Case[] = [
  {
    name: 'exp',
    expression: x0.exp(),
    oracle: Math.exp,
    ranges: [
      [-1, 1],
      [-88, 88],
      [-104, -87],
      [88, 89],
    ],
    exact: [
      [0, 1],
      [-Infinity, 0],
      [Infinity, Infinity],
      [NaN, NaN],
      [-200, 0],
      [1e30, Infinity],
      [-1e30, 0],
    ],
  },
  {
    name: 'log',
    expression: x0.log(),
    oracle: Math.log,
    ranges: [
      [0, 1e-38],
      [0, 1],
      [0.5, 2],
      [0, 1e9],
    ],
    exact: [
      [1, 0],
      [0, -Infinity],
      [-0, -Infinity],
      [-1, NaN],
      [Infinity, Infinity],
      [-Infinity, NaN],
      [NaN, NaN],
    ],
  },
  {
    name: 'tanh',
    expression: x0.tanh(),
    oracle: Math.tanh,
    ranges: [
      [-0.001, 0.001],
      [-0.7, 0.7],
      [-10, 10],
    ],
    exact: [
      [0, 0],
      [-0, -0],
      [Infinity, 1],
      [-Infinity, -1],
      [NaN, NaN],
      [40, 1],
      [-1e30, -1],
    ],
  },
  {
    name: 'erf',
    expression: x0.erf(),
    oracle: erf,
    ranges: [
      [-0.001, 0.001],
      [-1, 1],
      [-4, 4],
    ],
    exact: [
      [0, 0],
      [-0, -0],
      [Infinity, 1],
      [-Infinity, -1],
      [NaN, NaN],
      [12, 1],
      [-1e30, -1],
    ],
  },
  {
    name: 'sin',
    expression: x0.sin(),
    oracle: Math.sin,
    ranges: [
      [-0.001, 0.001],
      [-4, 4],
      [-1000, 1000],
      [-1e6, 1e6],
      [5e6, 6.4e6],
    ],
    exact: [
      [0, 0],
      [-0, -0],
      [Infinity, NaN],
      [-Infinity, NaN],
      [NaN, NaN],
      [1e7, NaN],
    ],
  },
  {
    name: 'cos',
    expression: x0.cos(),
    oracle: Math.cos,
    ranges: [
      [-0.001, 0.001],
      [-4, 4],
      [-1000, 1000],
      [-1e6, 1e6],
      [5e6, 6.4e6],
    ],
    exact: [
      [0, 1],
      [Infinity, NaN],
      [-Infinity, NaN],
      [NaN, NaN],
      [-1e7, NaN],
    ],
  },
  {
    name: 'acos',
    expression: x0.acos(),
    oracle: Math.acos,
    ranges: [
      [-1, 1],
      [-0.001, 0.001],
      [0.999, 1],
      [-1, -0.999],
    ],
    exact: [
      [1, 0],
      [-1, Math.fround(Math.PI)],
      [0, Math.fround(Math.PI / 2)],
      [-0, Math.fround(Math.PI / 2)],
      [0.5, Math.fround(Math.PI / 3)],
      [1 + 2 ** -23, NaN],
      [-1 - 2 ** -23, NaN],
      [Infinity, NaN],
      [-Infinity, NaN],
      [NaN, NaN],
    ],
  },
];

/** A function of two numbers, and draws of them: what is drawn evenly is `low + (high − low)·u`. */
interface CaseOfTwo {
  readonly name: string;
  readonly expression: F32;
  readonly oracle: (x: number, y: number) => number;
  readonly draws: Readonly<Record<string, (u: number, v: number) => readonly [number, number]>>;
}

const between = (low: number, high: number, u: number): number => low + (high - low) * u;
/** Both signs, all magnitudes from 2^low to 2^high. */
const ofAnySize = (low: number, high: number, u: number): number =>
  (u < 0.5 ? -1 : 1) * 2 ** between(low, high, (2 * u) % 1);

const casesOfTwo: readonly CaseOfTwo[] = [
  {
    name: 'atan2',
    expression: x0.atan2(x1),
    oracle: Math.atan2,
    draws: {
      'around the circle': (u, v) => [between(-2, 2, u), between(-2, 2, v)],
      'numbers of all sizes': (u, v) => [ofAnySize(-149, 128, u), ofAnySize(-149, 128, v)],
      'subnormal numbers': (u, v) => [ofAnySize(-149, -126, u), ofAnySize(-149, -126, v)],
      'the largest numbers': (u, v) => [ofAnySize(126, 128, u), ofAnySize(126, 128, v)],
      'beside the diagonals': (u, v) => [ofAnySize(-3, 3, u), ofAnySize(-3, 3, u) * between(0.999, 1.001, v)],
    },
  },
  {
    name: 'pow',
    expression: x0.pow(x1),
    oracle: Math.pow,
    draws: {
      'moderate powers': (u, v) => [between(0.5, 2, u), between(-100, 100, v)],
      'bases near 1': (u, v) => [between(0.9999, 1.0001, u), between(-1e6, 1e6, v)],
      'bases of all sizes': (u, v) => [2 ** between(-149, 128, u), between(-2, 2, v)],
      'subnormal results': (u, v) => [between(1.5, 9, u), between(-149, -126, v) / Math.log2(between(1.5, 9, u))],
      'large results': (u, v) => [between(1.5, 9, u), between(126, 128.1, v) / Math.log2(between(1.5, 9, u))],
      'small exponents': (u, v) => [2 ** between(-149, 128, u), ofAnySize(-40, 0, v)],
      'whole powers of negative bases': (u, v) => [-between(0.1, 9, u), Math.round(between(-30, 30, v))],
    },
  },
];

const specials = [
  0,
  1,
  0.5,
  2,
  3,
  2.5,
  2 ** -149,
  2 ** -126,
  3.4028234663852886e38,
  16777215,
  16777216,
  Infinity,
].flatMap((x) => [x, -x]);

onEveryDevice((on) => {
  const apply = async (expression: F32, ...values: Float32Array[]): Promise<ArrayLike<number>> => {
    const out = scope(() => {
      const inputs = values.map((numbers) => tensor(numbers, [numbers.length], { device: on.device }));
      const y = empty(inputs[0]!.shape, 'f32', on.device);
      runElementwise(expression, inputs, y);
      return y;
    });
    const result = await out.data();
    out.dispose();
    return result;
  };

  test.each(cases)('$name: within 3 ulp of float64', async ({ name, expression, oracle, ranges }) => {
    for (const [low, high] of ranges) {
      const x = uniform(7, 20_000, low, high);
      const y = await apply(expression, x);
      let [worst, at] = [0, 0];
      x.forEach((value, i) => {
        const want = Math.fround(oracle(value));
        if (y[i] === want) return;
        const error = Math.abs(y[i]! - oracle(value)) / ulp(oracle(value));
        if (!(error <= worst)) [worst, at] = [error, i];
      });
      expect(worst, `${name}(${x[at]}) is ${y[at]}, not ${oracle(x[at]!)}`).toBeLessThanOrEqual(3);
    }
  });

  test.each(cases)('$name: special values', async ({ name, expression, exact }) => {
    const y = await apply(
      expression,
      Float32Array.from(exact, ([x]) => x),
    );
    exact.forEach(([x, want], i) => expect(y[i], `${name}(${x})`).toBe(want));
  });

  test.each(casesOfTwo)(
    '$name of two numbers: within 2 ulp of float64',
    async ({ name, expression, oracle, draws }) => {
      const [u, v] = [uniform(11, 20_000, 0, 1), uniform(12, 20_000, 0, 1)];
      for (const [what, draw] of Object.entries(draws)) {
        const pairs = Array.from(u, (_, i) => draw(u[i]!, v[i]!));
        const [x, y] = [Float32Array.from(pairs, ([a]) => a), Float32Array.from(pairs, ([, b]) => b)];
        const got = await apply(expression, x, y);
        let [worst, at] = [0, 0];
        x.forEach((_, i) => {
          const want = oracle(x[i]!, y[i]!);
          if (got[i] === Math.fround(want)) return;
          const error = Math.abs(got[i]! - want) / ulp(want);
          if (!(error <= worst)) [worst, at] = [error, i];
        });
        const where = `${what}: ${name}(${x[at]}, ${y[at]}) is ${got[at]}, not ${oracle(x[at]!, y[at]!)}`;
        expect(worst, where).toBeLessThanOrEqual(2);
      }
    },
  );

  test.each(casesOfTwo)(
    '$name: zeros, infinities, NaN, and numbers at the ends',
    async ({ name, expression, oracle }) => {
      const pairs = [...specials, NaN].flatMap((x) => [...specials, NaN].map((y) => [x, y] as const));
      const got = await apply(
        expression,
        Float32Array.from(pairs, ([x]) => x),
        Float32Array.from(pairs, ([, y]) => y),
      );
      pairs.forEach(([x, y], i) => {
        const want = Math.fround(oracle(x, y));
        const where = `${name}(${Object.is(x, -0) ? '-0' : x}, ${Object.is(y, -0) ? '-0' : y})`;
        const close = want !== 0 && Math.abs(got[i]! - want) <= 2 * ulp(want);
        if (!close) expect(got[i], where).toBe(want);
      });
    },
  );
});

const weights: Kernel = {
  name: 'weights',
  key: '',
  parameters: ['pointer', 'pointer', 'i32'],
  cpu: (k) => {
    const [x, y] = [k.parameter(0, 'pointer'), k.parameter(1, 'pointer')];
    k.loop(
      0,
      k.parameter(2, 'i32'),
      (i) => k.store(k.offset(y, i, 4), expOfNegative(k, k.loadVF(k.offset(x, i, 4)))),
      k.width,
    );
  },
};

onEveryTarget((target) => {
  test('e^x of what is not positive: a relative error below 1.5e-7 down to the smallest normal number, then 0', () => {
    const special = [0, -0, -87.33, -87.34, -200, -1e30, -Infinity, NaN];
    const x = Float32Array.of(...special, ...uniform(8, 40_004, -87.3, 0), ...uniform(9, 40_004, -1, 0));
    const y = new Float32Array(x.length);
    target.run(weights, [x, y, x.length]);
    const end = special.length;
    expect([...y.subarray(0, end)]).toEqual([1, 1, Math.fround(y[2]!), 0, 0, 0, 0, NaN]);
    const error = (i: number): number => Math.abs(y[i]! / Math.exp(x[i]!) - 1);
    expect(error(2)).toBeLessThan(1.5e-7);
    let worst = end;
    for (let i = end; i < x.length; i++) if (!(error(i) <= error(worst))) worst = i;
    expect(error(worst), `at ${x[worst]}`).toBeLessThan(1.5e-7);
  });
});
