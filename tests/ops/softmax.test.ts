// of kernels/rowwise/softmax

import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { cast, softmax } from '../../src/ops/index.js';
import { gradients, scope, tensor } from '../../src/tensor/index.js';
import { linesAlong } from '../oracles/axes.js';
import { expectClose, expectSameBits, type Numbers } from '../support/compare.js';
import { onEveryDevice, withThreads } from '../support/devices.js';
import { checkOperation, exact, type Round } from '../support/operation.js';
import { uniform } from '../support/random.js';

const pick = (x: Numbers, line: readonly number[]): number[] => line.map((at) => x[at]!);

function softmaxOf(r: Round, row: readonly number[]): number[] {
  const top = row.reduce((a, b) => Math.max(a, b));
  const weights = row.map((x) => r(Math.exp(r(x - top))));
  const total = weights.reduce((a, b) => r(a + b), 0);
  return weights.map((w) => r(w / total));
}

function forward(r: Round, x: Numbers, lines: readonly (readonly number[])[]): Float64Array {
  const y = new Float64Array(x.length);
  for (const line of lines) softmaxOf(r, pick(x, line)).forEach((value, i) => (y[line[i]!] = value));
  return y;
}

function backward(r: Round, d: Numbers, x: Numbers, lines: readonly (readonly number[])[]): Float64Array {
  const dx = new Float64Array(x.length);
  for (const line of lines) {
    const y = softmaxOf(r, pick(x, line));
    const dy = pick(d, line);
    const dot = y.reduce((sum, value, i) => r(sum + r(value * dy[i]!)), 0);
    y.forEach((value, i) => (dx[line[i]!] = r(value * r(dy[i]! - dot))));
  }
  return dx;
}

onEveryDevice((on) => {
  test('any shape and axis: values and gradients', async () => {
    const check = async (shape: readonly number[], axis: number, seed: number): Promise<void> => {
      const lines = linesAlong(shape, [axis]);
      await checkOperation(
        on.device,
        {
          name: `softmax [${shape.join()}] along ${axis}`,
          shapes: [shape],
          range: [-4, 4],
          run: (x) => softmax(x, { axis }),
          forward: (r, x) => forward(r, x, lines),
          backward: (r, d, x) => [backward(r, d, x, lines)],
        },
        seed,
      );
    };
    const shapes = fc
      .array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 4 })
      .chain((shape) => fc.tuple(fc.constant(shape), fc.nat(shape.length - 1)));
    await fc.assert(
      fc.asyncProperty(shapes, fc.nat(1000), ([shape, axis], seed) => check(shape, axis, seed)),
      { numRuns: 25, seed: 3 },
    );
    await check([3, 131], 1, 1);
    await check([67, 35], 0, 2);
  });

  test('long and large rows', async () => {
    for (const [shape, axis] of [
      [[2, 30_011], 1],
      [[1009, 3], 0],
      [[300, 300], 1],
    ] as const) {
      const x = uniform(1, shape[0] * shape[1], -30, 30);
      const lines = linesAlong(shape, [axis]);
      const y = scope(() => softmax(tensor(x, shape, { device: on.device }), { axis }));
      expectClose('softmax', await y.data(), forward(exact, x, lines), { budget: forward(Math.fround, x, lines) });
      y.dispose();
    }
  });

  test.each([0, 1])(
    'special rows along axis %i: −∞ gives 0 with gradient 0, NaN stays in its row, 1e30 is no overflow',
    async (axis) => {
      const rows = [
        [-Infinity, -Infinity, -Infinity],
        [1, NaN, 2],
        [1e30, -1e30, 1e30],
        [-Infinity, 5, -Infinity],
      ];
      const order = <T>(flat: readonly T[]): T[] =>
        axis === 1 ? [...flat] : [0, 1, 2].flatMap((j) => [0, 1, 2, 3].map((i) => flat[3 * i + j]!));
      const [y, dx] = scope(() => {
        const x = tensor(order(rows.flat()), axis === 1 ? [4, 3] : [3, 4], {
          device: on.device,
          requiresGradient: true,
        });
        const y = softmax(x, { axis });
        return [y, ...gradients([y], [x], [tensor(uniform(2, 12), y.shape, { device: on.device })])];
      });
      expectClose('values', await y.data(), order([0, 0, 0, NaN, NaN, NaN, 0.5, 0, 0.5, 0, 1, 0]), { budget: 1e-7 });
      const gradient = await dx!.data();
      expectClose(
        'the masked row',
        order([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]).flatMap((at, i) => (at < 3 ? [gradient[i]!] : [])),
        [0, 0, 0],
      );
      y.dispose();
      dx!.dispose();
    },
  );

  test('narrow floats are rounded once', async () => {
    const x = uniform(9, 200, -3, 3);
    const [narrow, wide] = scope(() => {
      const half = tensor(x, [4, 50], { device: on.device, dtype: 'f16' });
      return [softmax(half), cast(softmax(cast(half, 'f32')), 'f16')];
    });
    expect(narrow.dtype).toBe('f16');
    expectSameBits('f16', await narrow.data(), await wide.data());
    narrow.dispose();
    wide.dispose();
  });

  test('bits do not depend on the number of threads', async () => {
    const x = uniform(8, 120_000, -5, 5);
    const results = await withThreads(on.kind, [1, 2, 3], async (device) => {
      const outs = scope(() => [
        softmax(tensor(x, [100, 1200], { device })),
        softmax(tensor(x, [100, 30, 40], { device }), { axis: 1 }),
      ]);
      const numbers = await Promise.all(outs.map((out) => out.data()));
      for (const out of outs) out.dispose();
      return numbers.flatMap((values) => Array.from(values));
    });
    expectSameBits('2 threads', results[1]!, results[0]!);
    expectSameBits('3 threads', results[2]!, results[0]!);
  });
});
