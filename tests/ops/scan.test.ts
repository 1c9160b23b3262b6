// of kernels/scan/{launch,scan}

import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { cumulativeSum, type CumulativeSumOptions } from '../../src/ops/scan.js';
import { disposeAll, gradients, scope, tensor, type Tensor } from '../../src/tensor/index.js';
import { expectClose, expectSameBits, type Numbers } from '../support/compare.js';
import { onEveryDevice, withThreads } from '../support/devices.js';
import { uniform } from '../support/random.js';

const product = (shape: readonly number[]): number => shape.reduce((x, y) => x * y, 1);

function oracle(
  x: Numbers,
  shape: readonly number[],
  options: CumulativeSumOptions,
  round = (v: number): number => v,
): Float64Array {
  const axis = options.axis ?? shape.length - 1;
  const [length, inner] = [shape[axis]!, product(shape.slice(axis + 1))];
  const out = new Float64Array(x.length);
  for (let line = 0; line < x.length / length; line++) {
    const start = Math.floor(line / inner) * length * inner + (line % inner);
    let sum = 0;
    for (let step = 0; step < length; step++) {
      const at = start + (options.reverse ? length - 1 - step : step) * inner;
      const next = round(sum + x[at]!);
      out[at] = options.exclusive ? sum : next;
      sum = next;
    }
  }
  return out;
}

const directions = [{}, { exclusive: true }, { reverse: true }, { exclusive: true, reverse: true }] as const;

onEveryDevice((on) => {
  const floats = (data: ArrayLike<number>, shape: readonly number[], requiresGradient = false): Tensor =>
    tensor(Float32Array.from(data), shape, { device: on.device, requiresGradient });

  async function check(shape: readonly number[], options: CumulativeSumOptions): Promise<void> {
    const data = uniform(1, product(shape));
    const out = scope(() => cumulativeSum(floats(data, shape), options));
    const who = `[${shape.join()}] ${JSON.stringify(options)}`;
    expectClose(who, await out.data(), oracle(data, shape, options), {
      budget: oracle(data, shape, options, Math.fround),
    });
    out.dispose();
  }

  // short rows, rows cut into chunks, columns, columns cut into chunks, more than two levels of chunks
  test.each([
    [[1], 0],
    [[7, 5], 1],
    [[7, 5], 0],
    [[100_003], 0],
    [[3, 40_000], 1],
    [[2, 5_000, 3], 1],
    [[20_011, 17], 0],
    [[700_001], 0],
  ])('%j along axis %i', async (shape, axis) => {
    for (const direction of directions) await check(shape, { axis, ...direction });
  });

  test('random shapes', () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 23 }), { minLength: 1, maxLength: 3 }),
        fc.nat(2),
        fc.boolean(),
        fc.boolean(),
        (shape, axis, exclusive, reverse) => check(shape, { axis: axis % shape.length, exclusive, reverse }),
      ),
      { seed: 5, numRuns: 50 },
    ));

  test.each(directions)('the gradient sums the other way: %j', async (direction) => {
    for (const shape of [[5, 6], [40_000]]) {
      const x = floats(uniform(1, product(shape)), shape, true);
      const out = cumulativeSum(x, direction);
      const cotangent = uniform(2, out.size);
      const seed = floats(cotangent, shape);
      const [dx] = gradients([out], [x], [seed]);
      const back = { ...direction, reverse: !('reverse' in direction) };
      // ⟨d, scan(x)⟩ = ⟨scanᵀ(d), x⟩: the transpose of a lower triangle of ones is the upper
      const want = oracle(cotangent, shape, back);
      expectClose('dx', await dx!.data(), want, { budget: oracle(cotangent, shape, back, Math.fround) });
      disposeAll([x, out, seed, dx]);
    }
  });

  test('integers are exact, other floats keep their dtype', async () => {
    const data = Int32Array.from({ length: 50_000 }, (_, i) => (i % 7) - 3);
    const out = scope(() => cumulativeSum(tensor(data, [50_000], { device: on.device })));
    expect(out.dtype).toBe('i32');
    expectSameBits('i32', await out.data(), Int32Array.from(oracle(data, [50_000], {})));
    const bytes = scope(() => cumulativeSum(tensor(Uint8Array.of(200, 100, 1), [3], { device: on.device })));
    expect([...(await bytes.data())]).toEqual([200, 300, 301]);
    const half = scope(() =>
      cumulativeSum(tensor([1, 2, 3, 4], [2, 2], { device: on.device, dtype: 'f16' }), { axis: 0 }),
    );
    expect(half.dtype).toBe('f16');
    expect([...(await half.data())]).toEqual([1, 2, 4, 6]);
    disposeAll([out, bytes, half]);
  });

  test('a NaN reaches the sums that include it and no others', async () => {
    const data = new Float32Array(90_000).fill(1);
    data[40_000] = NaN;
    const out = scope(() => cumulativeSum(floats(data, [90_000])));
    const got = await out.data();
    expect(got.findIndex(Number.isNaN)).toBe(40_000);
    expect(got.subarray(40_000).every(Number.isNaN)).toBe(true);
    out.dispose();
  });

  test('the same bits for every number of threads', async () => {
    const data = uniform(4, 300_007);
    const results = await withThreads(on.kind, [1, 2, 3], async (device) => {
      const out = scope(() => cumulativeSum(tensor(data, [300_007], { device })));
      const sums = await out.data();
      out.dispose();
      return sums;
    });
    expectSameBits('2 threads', results[1]!, results[0]!);
    expectSameBits('3 threads', results[2]!, results[0]!);
  });

  test('what it refuses', () =>
    scope(() => {
      expect(() => cumulativeSum(floats([1], [1]), { axis: 1 })).toThrow(
        /cumulativeSum: there is no axis 1 in shape \[1\]/,
      );
      expect(() => cumulativeSum(floats([1], [1]), { inverse: true } as CumulativeSumOptions)).toThrow(
        /unknown option "inverse"/,
      );
    }));
});
