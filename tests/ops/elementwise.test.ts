// of ops/arithmetic

import { expect, test } from 'vitest';
import * as ops from '../../src/ops/index.js';
import { gradients, scope, tensor, type Tensor } from '../../src/tensor/index.js';
import { erf as erf64 } from '../oracles/functions.js';
import { onEveryDevice } from '../support/devices.js';
import { uniform } from '../support/random.js';
import { checkOperation, type Round } from '../support/operation.js';

type F = (r: Round, x: number) => number;
/** An operation of one tensor: its value and its derivative as plain code. */
interface Case {
  readonly run: (x: Tensor) => Tensor;
  readonly f: F;
  readonly df: F;
  readonly range?: readonly [number, number];
}

type F2 = (r: Round, a: number, b: number) => number;
/** An operation of two tensors: its value and its derivatives. */
interface CaseOfTwo {
  readonly run: (a: Tensor, b: Tensor) => Tensor;
  readonly f: F2;
  readonly df: readonly [F2, F2];
  readonly ranges: readonly (readonly [number, number])[];
}

const sigmoid: F = (r, x) => r(1 / r(1 + r(Math.exp(-x))));
const normalCdf: F = (r, x) => r(0.5 * r(1 + r(erf64(r(x * Math.SQRT1_2)))));
const inner: F = (r, x) => r(r(Math.sqrt(2 / Math.PI)) * r(x + r(0.044715 * r(r(x * x) * x))));

const unary: Readonly<Record<string, Case>> = {
  neg: { run: ops.neg, f: (_, x) => -x, df: () => -1 },
  abs: { run: ops.abs, f: (_, x) => Math.abs(x), df: (_, x) => Math.sign(x) },
  exp: { run: ops.exp, f: (r, x) => r(Math.exp(x)), df: (r, x) => r(Math.exp(x)), range: [-5, 5] },
  log: { run: ops.log, f: (r, x) => r(Math.log(x)), df: (r, x) => r(1 / x), range: [0.5, 5] },
  sqrt: { run: ops.sqrt, f: (r, x) => r(Math.sqrt(x)), df: (r, x) => r(0.5 / r(Math.sqrt(x))), range: [0.5, 5] },
  square: { run: ops.square, f: (r, x) => r(x * x), df: (_, x) => 2 * x },
  sin: { run: ops.sin, f: (r, x) => r(Math.sin(x)), df: (r, x) => r(Math.cos(x)), range: [-9, 9] },
  cos: { run: ops.cos, f: (r, x) => r(Math.cos(x)), df: (r, x) => r(-Math.sin(x)), range: [-9, 9] },
  acos: {
    run: ops.acos,
    f: (r, x) => r(Math.acos(x)),
    df: (r, x) => r(-1 / r(Math.sqrt(r(r(1 - x) * r(1 + x))))),
    range: [-0.95, 0.95],
  },
  erf: {
    run: ops.erf,
    f: (r, x) => r(erf64(x)),
    df: (r, x) => r(r(2 / Math.sqrt(Math.PI)) * r(Math.exp(r(-x * x)))),
    range: [-3, 3],
  },
  tanh: { run: ops.tanh, f: (r, x) => r(Math.tanh(x)), df: (r, x) => r(1 - r(r(Math.tanh(x)) ** 2)), range: [-3, 3] },
  relu: { run: ops.relu, f: (_, x) => Math.max(x, 0), df: (_, x) => Number(x > 0) },
  sigmoid: { run: ops.sigmoid, f: sigmoid, df: (r, x) => r(sigmoid(r, x) * r(1 - sigmoid(r, x))), range: [-6, 6] },
  silu: {
    run: ops.silu,
    f: (r, x) => r(x * sigmoid(r, x)),
    df: (r, x) => r(sigmoid(r, x) * r(1 + r(x * r(1 - sigmoid(r, x))))),
    range: [-6, 6],
  },
  gelu: {
    run: (x) => ops.gelu(x),
    f: (r, x) => r(x * normalCdf(r, x)),
    df: (r, x) => r(normalCdf(r, x) + r(r(x * r(Math.exp(r(-0.5 * x * x)))) * r(1 / Math.sqrt(2 * Math.PI)))),
    range: [-4, 4],
  },
  'gelu, tanh': {
    run: (x) => ops.gelu(x, { approximate: 'tanh' }),
    f: (r, x) => r(0.5 * r(x * r(1 + r(Math.tanh(inner(r, x)))))),
    df: (r, x) => {
      const t = r(Math.tanh(inner(r, x)));
      const slope = r(r(Math.sqrt(2 / Math.PI)) * r(1 + r(3 * 0.044715 * r(x * x))));
      return r(r(0.5 * r(1 + t)) + r(r(0.5 * x) * r(r(1 - r(t * t)) * slope)));
    },
    range: [-4, 4],
  },
  'pow 3': { run: (x) => ops.pow(x, 3), f: (r, x) => r(r(x * x) * x), df: (r, x) => r(3 * r(x * x)) },
  'pow -1': { run: (x) => ops.pow(x, -1), f: (r, x) => r(1 / x), df: (r, x) => r(-1 / r(x * x)), range: [0.5, 3] },
  'pow 2.5': {
    run: (x) => ops.pow(x, 2.5),
    f: (r, x) => r(x ** 2.5),
    df: (r, x) => r(2.5 * r(x ** 1.5)),
    range: [0.5, 3],
  },
  'a number on either side': { run: (x) => ops.sub(1.5, ops.mul(x, 3)), f: (r, x) => r(1.5 - r(x * 3)), df: () => -3 },
};

const sumOfSquares: F2 = (r, y, x) => r(r(x * x) + r(y * y));
const binary: Readonly<Record<string, CaseOfTwo>> = {
  atan2: {
    run: ops.atan2,
    f: (r, y, x) => r(Math.atan2(y, x)),
    df: [(r, y, x) => r(x / sumOfSquares(r, y, x)), (r, y, x) => r(-y / sumOfSquares(r, y, x))],
    ranges: [
      [0.1, 2],
      [-2, 2],
    ],
  },
  pow: {
    run: ops.pow,
    f: (r, x, y) => r(x ** y),
    df: [(r, x, y) => r(y * r(x ** r(y - 1))), (r, x, y) => r(r(x ** y) * r(Math.log(x)))],
    ranges: [
      [0.2, 2],
      [-3, 3],
    ],
  },
};

onEveryDevice((on) => {
  test.each(Object.keys(binary))('%s', async (name) => {
    const { run, f, df, ranges } = binary[name]!;
    const inputs = ranges.map(([low, high], i) => uniform(40 + i, 65, low, high));
    await checkOperation(on.device, {
      name,
      shapes: [
        [5, 13],
        [5, 13],
      ],
      inputs,
      run,
      forward: (r, a, b) => Array.from(a, (value, i) => f(r, value, b[i]!)),
      backward: (r, d, a, b) => df.map((slope) => Array.from(a, (value, i) => r(d[i]! * slope(r, value, b[i]!)))),
    });
  });

  test('the gradients of a power are 0 where base and exponent are 0, and that of the exponent where only the base is', async () => {
    const at = (data: readonly number[]): Tensor =>
      tensor(data, [data.length], { device: on.device, requiresGradient: true });
    const [x, y] = [at([0, 0, 0, 3]), at([0, 2, 0.5, 0])];
    const [dx, dy] = scope(() => gradients([ops.sum(ops.pow(x, y))], [x, y]));
    expect([...(await dx!.data())]).toEqual([0, 0, Infinity, 0]);
    expect([...(await dy!.data())]).toEqual([0, 0, 0, Math.fround(Math.log(3))]);
    for (const one of [x, y, dx!, dy!]) one.dispose();
  });

  test.each(Object.keys(unary))('%s', async (name) => {
    const { run, f, df, range } = unary[name]!;
    await checkOperation(on.device, {
      name,
      shapes: [[5, 13]],
      ...(range && { range }),
      run,
      forward: (r, x) => Array.from(x, (value) => f(r, value)),
      backward: (r, d, x) => [Array.from(x, (value, i) => r(d[i]! * df(r, value)))],
    });
  });

  test.each(Object.keys(unary))('%s propagates NaN', async (name) => {
    const { device } = on;
    const y = scope(() => unary[name]!.run(tensor([1, NaN, 0.5], [3], { device })));
    const values = await y.data();
    y.dispose();
    if (!Number.isNaN(values[1]) || Number.isNaN(values[0]) || Number.isNaN(values[2]))
      throw new Error(`${name}: ${values.join()}`);
  });
});
