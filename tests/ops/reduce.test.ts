// of kernels/lanes, kernels/rowwise/{argmax,plan,reduce}, ops/argmax

import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { argmax, logsumexp, max, mean, min, sum, sumTo, type ReduceOptions } from '../../src/ops/index.js';
import { scope, tensor, type Tensor } from '../../src/tensor/index.js';
import { linesAlong } from '../oracles/axes.js';
import { expectClose, expectSameBits, type Numbers } from '../support/compare.js';
import { onEveryDevice, withThreads } from '../support/devices.js';
import { checkOperation, type Round } from '../support/operation.js';
import { uniform } from '../support/random.js';

interface Oracle {
  readonly run: (x: Tensor, options: ReduceOptions) => Tensor;
  readonly forward: (r: Round, line: Numbers) => number;
  /** The gradient of one line of x. */
  readonly backward: (r: Round, line: Numbers, d: number) => Numbers;
}

const total = (r: Round, line: Numbers): number => {
  let result = 0;
  for (let i = 0; i < line.length; i++) result = r(result + line[i]!);
  return result;
};
const lse = (r: Round, line: Numbers): number => {
  const top = Math.max(...Array.from(line));
  return r(
    top +
      r(
        Math.log(
          total(
            r,
            Array.from(line, (x) => r(Math.exp(r(x - top)))),
          ),
        ),
      ),
  );
};

const oracles: Readonly<Record<string, Oracle>> = {
  sum: { run: sum, forward: total, backward: (_, line, d) => Array.from(line, () => d) },
  mean: {
    run: mean,
    forward: (r, line) => r(total(r, line) / line.length),
    backward: (r, line, d) => Array.from(line, () => r(d / line.length)),
  },
  max: {
    run: max,
    forward: (_, line) => Math.max(...Array.from(line)),
    backward: (_, line, d) => Array.from(line, (x) => (x === Math.max(...Array.from(line)) ? d : 0)),
  },
  min: {
    run: min,
    forward: (_, line) => Math.min(...Array.from(line)),
    backward: (_, line, d) => Array.from(line, (x) => (x === Math.min(...Array.from(line)) ? d : 0)),
  },
  logsumexp: {
    run: logsumexp,
    forward: lse,
    backward: (r, line, d) => Array.from(line, (x) => r(d * r(Math.exp(r(x - lse(r, line)))))),
  },
};

const shapesAndAxes = fc
  .array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 4 })
  .chain((shape) => fc.record({ shape: fc.constant(shape), axes: fc.subarray([...shape.keys()]) }));

const pick = (x: Numbers, line: readonly number[]): number[] => line.map((at) => x[at]!);

onEveryDevice((on) => {
  test.each(Object.keys(oracles))('%s over any axes: values and gradients', async (name) => {
    const { run, forward, backward } = oracles[name]!;
    const check = async (shape: readonly number[], axes: readonly number[], seed: number): Promise<void> => {
      const lines = linesAlong(shape, axes);
      await checkOperation(
        on.device,
        {
          name: `${name} of [${shape.join()}] over [${axes.join()}]`,
          shapes: [shape],
          range: [-2, 2],
          run: (x) => run(x, { axes, keepDims: seed % 2 === 0 }),
          forward: (r, x) => lines.map((line) => forward(r, pick(x, line))),
          backward: (r, d, x) => {
            const dx = new Float64Array(x.length);
            lines.forEach((line, i) => {
              const slopes = backward(r, pick(x, line), d[i]!);
              line.forEach((at, j) => (dx[at] = slopes[j]!));
            });
            return [dx];
          },
        },
        seed,
      );
    };
    await fc.assert(
      fc.asyncProperty(shapesAndAxes, fc.nat(1000), ({ shape, axes }, seed) => check(shape, axes, seed)),
      { numRuns: 20, seed: 5 },
    );
    await check([37, 19], [0], 1);
    await check([3, 131], [1], 2);
  });

  test.each(Object.keys(oracles))('%s of long axes, in chunks', async (name) => {
    const { run, forward } = oracles[name]!;
    for (const [shape, axes] of [
      [[100_003], [0]],
      [[3, 40_000], [1]],
      [[9001, 7], [0]],
      [[2, 3001, 33], [1]],
    ] as const) {
      const x = uniform(
        3,
        shape.reduce((size: number, extent) => size * extent, 1),
      );
      const y = scope(() => run(tensor(x, shape, { device: on.device }), { axes }));
      const lines = linesAlong(shape, axes).map((line) => pick(x, line));
      // Math.max(...line) would not take so many arguments
      const long = (r: Round, line: number[]): number =>
        name === 'max' || name === 'min'
          ? line.reduce((a, b) => Math[name](a, b))
          : name === 'logsumexp'
            ? r(
                Math.log(
                  total(
                    r,
                    line.map((v) => r(Math.exp(v))),
                  ),
                ),
              )
            : forward(r, line);
      const oracle = lines.map((line) => long((v) => v, line));
      expectClose(`${name} [${shape.join()}]`, await y.data(), oracle, {
        budget: lines.map((line) => long(Math.fround, line)),
      });
      y.dispose();
    }
  });

  test('special values', async () => {
    const rows = [
      [1, NaN, 3],
      [-Infinity, -Infinity, -Infinity],
      [-Infinity, 0, -Infinity],
      [Infinity, 0, 1],
      [-0, -1, -2],
    ];
    const wanted: Readonly<Record<string, readonly number[]>> = {
      max: [NaN, -Infinity, 0, Infinity, -0],
      min: [NaN, -Infinity, -Infinity, 0, -2],
      logsumexp: [NaN, -Infinity, 0, Infinity, Math.log(1 + Math.exp(-1) + Math.exp(-2))],
      sum: [NaN, -Infinity, -Infinity, Infinity, -3],
    };
    for (const [name, want] of Object.entries(wanted)) {
      for (const axes of [1, 0]) {
        const x = axes === 1 ? rows.flat() : [0, 1, 2].flatMap((j) => rows.map((row) => row[j]!));
        const shape = axes === 1 ? [5, 3] : [3, 5];
        const y = scope(() => oracles[name]!.run(tensor(x, shape, { device: on.device }), { axes }));
        expectClose(`${name} along ${axes}`, await y.data(), want);
        y.dispose();
      }
    }
  });

  test('argmax: the first of equals, the first NaN, any axis', async () => {
    await fc.assert(
      fc.asyncProperty(shapesAndAxes, fc.nat(1000), async ({ shape }, seed) => {
        const values = [-Infinity, -1, 0, 0.5, 2, NaN];
        const x = uniform(
          seed,
          shape.reduce((size, extent) => size * extent, 1),
          0,
          seed % 3 === 0 ? 5.999 : 4.999,
        ).map((v) => values[Math.floor(v)]!);
        for (const axis of shape.keys()) {
          const y = scope(() => argmax(tensor(x, shape, { device: on.device }), { axis, keepDims: true }));
          const want = linesAlong(shape, [axis]).map((line) => {
            const row = pick(x, line);
            const nan = row.findIndex(Number.isNaN);
            return nan >= 0 ? nan : row.indexOf(Math.max(...row));
          });
          expectSameBits(`argmax [${shape.join()}] along ${axis}`, await y.data(), want);
          expect(y.shape).toEqual(shape.map((extent, i) => (i === axis ? 1 : extent)));
          y.dispose();
        }
      }),
      { numRuns: 30, seed: 6 },
    );
    const x = uniform(4, 3000);
    x[1234] = 3;
    const whole = scope(() => argmax(tensor(x, [30, 100], { device: on.device })));
    expect(await whole.item()).toBe(1234);
    whole.dispose();
  });

  test('equal largest numbers share the gradient', async () => {
    const { gradients } = await import('../../src/tensor/index.js');
    const [dx] = scope(() => {
      const x = tensor([5, 1, 5, 5], [4], { device: on.device, requiresGradient: true });
      return gradients([max(x)], [x], [tensor([6], [], { device: on.device })]);
    });
    expect([...(await dx!.data())]).toEqual([2, 0, 2, 2]);
    dx!.dispose();
  });

  test('bits do not depend on the number of threads', async () => {
    const x = uniform(8, 300_001);
    const results = await withThreads(on.kind, [1, 2, 3], async (device) => {
      const outs = scope(() => {
        const flat = tensor(x, [300_001], { device });
        const tall = tensor(x.subarray(0, 300_000), [10_000, 30], { device });
        return [sum(flat), logsumexp(flat), sum(tall, { axes: 0 }), mean(tall, { axes: 1 }), sumTo(tall, [1, 30])];
      });
      const numbers = await Promise.all(outs.map((out) => out.data()));
      for (const out of outs) out.dispose();
      return numbers.flatMap((values) => Array.from(values));
    });
    expectSameBits('2 threads', results[1]!, results[0]!);
    expectSameBits('3 threads', results[2]!, results[0]!);
  });

  test('refusals', () => {
    scope(() => {
      const x = tensor([1, 2, 3], [3], { device: on.device });
      expect(() => sum(x, { axes: 1 })).toThrow(
        'sum: there is no axis 1 in shape [3]; it must be an integer from -1 to 0.',
      );
      expect(() => sum(x, { axes: [0, -1] })).toThrow('axes must be distinct');
      expect(() => mean(x, { axis: 0 } as never)).toThrow('mean: unknown option "axis" (did you mean "axes"?)');
    });
  });
});
