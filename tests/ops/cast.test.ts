// of kernels/cast/convert

import { expect, test } from 'vitest';
import type { Dtype } from '../../src/core/dtype.js';
import { cast } from '../../src/ops/index.js';
import { gradients, scope, tensor } from '../../src/tensor/index.js';
import { ofBf16, ofF16, storedAs } from '../oracles/storage.js';
import { expectSameBits, type Numbers } from '../support/compare.js';
import { onEveryDevice } from '../support/devices.js';
import { generator } from '../support/random.js';

/** f32 numbers of every size, and those that rounding gets wrong most easily. */
function samples(): Float32Array {
  const next = generator(5);
  const random = new Float32Array(Uint32Array.from({ length: 5000 }, () => next() * 2 ** 32).buffer);
  const halves = Float32Array.from({ length: 4000 }, () => (next() - 0.5) * 2 ** Math.floor(next() * 45 - 27));
  const ties = Array.from({ length: 200 }, (_, i) => 1 + (2 * i + 1) / 2048);
  const special = [
    0,
    -0,
    Infinity,
    -Infinity,
    NaN,
    65504,
    65519.99,
    65520,
    -65520,
    2 ** -24,
    2 ** -25,
    2 ** -25 * 1.01,
    6.1e-5,
    3.4e38,
    1e-45,
  ];
  return Float32Array.from([
    ...random,
    ...halves,
    ...ties,
    ...special,
    255,
    256,
    -1,
    0.5,
    1.5,
    2147483520,
    2147483648,
    -2147483648,
    3e9,
  ]);
}

onEveryDevice((on) => {
  const through = async (data: ArrayLike<number>, from: Dtype, to: Dtype): Promise<Numbers> => {
    const y = scope(() => cast(tensor(data, [data.length], { device: on.device, dtype: from }), to));
    const values = await y.data();
    expect(y.dtype).toBe(to);
    y.dispose();
    return values;
  };

  test('f32 to f16 and bf16 round to nearest even, as the host does', async () => {
    const x = samples();
    expectSameBits('f16', await through(x, 'f32', 'f16'), Float32Array.from(x, storedAs.f16));
    expectSameBits('bf16', await through(x, 'f32', 'bf16'), Float32Array.from(x, storedAs.bf16));
  });

  test('every f16 and bf16 number is read exactly', async () => {
    const all = Uint16Array.from({ length: 65536 }, (_, i) => i);
    expectSameBits('f16', await through(all, 'f16', 'f32'), Float32Array.from(all, ofF16));
    expectSameBits('bf16', await through(all, 'bf16', 'f32'), Float32Array.from(all, ofBf16));
  });

  test('floats to integers go towards zero and saturate', async () => {
    const x = samples();
    const whole = (low: number, high: number) => (value: number) =>
      Number.isNaN(value) ? 0 : Math.max(low, Math.min(high, Math.trunc(value))) + 0;
    expectSameBits('i32', await through(x, 'f32', 'i32'), Float64Array.from(x, whole(-(2 ** 31), 2 ** 31 - 1)));
    expectSameBits('u8', await through(x, 'f32', 'u8'), Float64Array.from(x, whole(0, 255)));
  });

  test('integers: exact between each other, nearest as floats', async () => {
    const x = Int32Array.of(0, 1, -1, 255, 256, 16777217, 2147483647, -2147483648, 33554435);
    expectSameBits('f32', await through(x, 'i32', 'f32'), Float32Array.from(x));
    expectSameBits(
      'u8',
      await through(x, 'i32', 'u8'),
      x.map((value) => Math.max(0, Math.min(255, value))),
    );
    const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
    for (const dtype of ['i32', 'f32', 'f16'] as const) expectSameBits(dtype, await through(bytes, 'u8', dtype), bytes);
  });

  test('the gradient passes as it is, in f32', async () => {
    const { device } = on;
    const [dx] = scope(() => {
      const x = tensor([1, 2], [2], { device, dtype: 'f16', requiresGradient: true });
      return gradients([cast(cast(x, 'f32'), 'bf16')], [x], [tensor([0.1, 3], [2], { device })]);
    });
    expect(dx!.dtype).toBe('f32');
    expectSameBits('gradient', await dx!.data(), Float32Array.of(0.1, 3));
    dx!.dispose();
    expect(() => scope(() => cast(tensor([1], [1], { device }), 'f64' as Dtype))).toThrow(
      'dtype must be one of f32, f16, bf16, i32, u8; got "f64".',
    );
  });
});
