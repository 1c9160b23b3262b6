// of tensor/{create,registry,storage}

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import { OptionError, ShapeError } from '../../src/core/errors.js';
import { createDevice } from '../../src/devices/index.js';
import { add, gelu, mul, softmax, sum } from '../../src/ops/index.js';
import type { Tensor } from '../../src/tensor/index.js';
import { full, leakedTensors, tensor, useDevice, zeros } from '../../src/tensor/index.js';
import { onEveryDevice, tensorsFromNow } from '../support/devices.js';

onEveryDevice((on) => {
  describe('creation', () => {
    test('shape, dtype and numbers', async () => {
      const { device } = on;
      const x = tensor([1, 2, 3, 4, 5, 6], [2, 3], { device });
      expect([x.shape, x.dtype, x.size, x.rank, x.byteLength]).toEqual([[2, 3], 'f32', 6, 2, 24]);
      expect(String(x)).toMatch(`Tensor f32[2,3] on ${device.info.kind}`);
      expect([...(await x.data())]).toEqual([1, 2, 3, 4, 5, 6]);
      x.dispose();
      expect(String(x)).toBe(`Tensor f32[2,3] on ${on.device.info.kind}, disposed`);
      for (const [data, dtype] of [
        [Int32Array.of(1), 'i32'],
        [Uint8Array.of(1), 'u8'],
        [Float64Array.of(1), 'f32'],
      ] as const) {
        const y = tensor(data, [1], { device });
        expect(y.dtype).toBe(dtype);
        expect(await y.item()).toBe(1);
        y.dispose();
      }
    });

    test('full and zeros, of any dtype and size', async () => {
      const { device } = on;
      for (const dtype of ['f32', 'f16', 'bf16', 'i32', 'u8'] as const) {
        for (const shape of [[], [1], [3, 5], [70_000]]) {
          const [x, z] = [full(shape, 3, { device, dtype }), zeros(shape, { device, dtype })];
          expect(new Set(await x.data())).toEqual(new Set([3]));
          expect(new Set(await z.data())).toEqual(new Set([0]));
          x.dispose();
          z.dispose();
        }
      }
    });

    test('the data is copied', async () => {
      const data = Float32Array.of(1, 2);
      const x = tensor(data, [2], { device: on.device });
      data[0] = 9;
      const read = await x.data();
      expect([...read]).toEqual([1, 2]);
      read[0] = 8;
      expect([...(await x.data())]).toEqual([1, 2]);
      x.dispose();
    });

    test('a default device', () => {
      expect(() => tensor([1])).toThrow(
        'tensor: no device; pass { device }, or call useDevice(await createDevice()) first.',
      );
      const before = useDevice(on.device);
      const x = tensor([1, 2]);
      expect(x.shape).toEqual([2]);
      x.dispose();
      expect(useDevice(before)).toBe(on.device);
    });

    test('refusals leave nothing behind', () => {
      const { device } = on;
      const refused = (f: () => unknown, kind: new () => Error, text: string): void => {
        expect(f).toThrow(kind);
        expect(f).toThrow(text);
      };
      refused(() => tensor([1, 2], [3], { device }), ShapeError, 'tensor: shape [3] holds 3 numbers; got 2.');
      refused(() => tensor([], [0], { device }), ShapeError, 'Empty tensors are not defined');
      refused(
        () => zeros([-2], { device }),
        ShapeError,
        'full: every extent of a shape must be a whole number of at least 1; got [-2].',
      );
      refused(() => tensor([1], [1], { device, dtype: 'f8' as never }), OptionError, 'dtype must be "f32", "f16", ');
      refused(() => tensor([1], [1], { devise: device } as never), OptionError, 'did you mean "device"?');
      refused(() => tensor([300], [1], { device, dtype: 'u8' }), OptionError, 'got 300 at index 0');
      refused(() => full([2], 0.5, { device, dtype: 'i32' }), OptionError, 'got 0.5');
      refused(
        () => tensor([1], [1], { device, dtype: 'i32', requiresGradient: true }),
        OptionError,
        'gradients need dtype',
      );
      refused(() => tensor(Uint16Array.of(1), [1], { device }), OptionError, 'bit patterns');
    });
  });

  describe('disposal', () => {
    test('frees memory once; later use is one clear sentence', async () => {
      const made = tensorsFromNow();
      const x = tensor([1, 2], [2], { device: on.device });
      expect(made()).toBe(1);
      x.dispose();
      x.dispose();
      expect(made()).toBe(0);
      expect(on.device.ledger.live()).toBe(0);
      expect(() => x.buffer).toThrow('a tensor f32[2] was disposed');
      expect(() => add(x, x)).toThrow('add: a tensor f32[2] was disposed');
      await expect(x.data()).rejects.toThrow('was disposed');
      const wide = tensor([1, 2], [2], { device: on.device });
      await expect(wide.item()).rejects.toThrow('item: takes a tensor of one element; got [2].');
      wide[Symbol.dispose]();
      expect(wide.disposed).toBe(true);
    });

    test('tensors may be disposed after their device', async () => {
      const device = await createDevice({ kind: 'wasm', threads: 1 });
      const made = tensorsFromNow();
      const x = tensor([1], [1], { device });
      await device.dispose();
      x.dispose();
      expect(made()).toBe(0);
    });

    test('two devices do not mix', async () => {
      const other = await createDevice({ kind: 'wasm', threads: 1 });
      const [x, y] = [tensor([1], [1], { device: on.device }), tensor([1, 2], [2], { device: other })];
      expect(() => add(x, y)).toThrow(
        `add: all tensors must be on one device; got a tensor f32[1] on ${on.device.info.kind}, a tensor f32[2] on wasm.`,
      );
      for (const one of [x, y]) one.dispose();
      await other.dispose();
    });
  });

  test('pipe chains', async () => {
    const x: Tensor = tensor([1, 2, 3], [3], { device: on.device });
    const [two, y] = [x.pipe(mul, 2), x.pipe(gelu)];
    const total = two.pipe(sum, { axes: 0 });
    expect(await total.item()).toBe(12);
    for (const one of [x, y, two, total]) one.dispose();
  });
});

// outside the blocks above, whose tests must not leak
test('a forgotten tensor, and all that its history saved, is freed by the collector and counted', async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const device = await createDevice({ kind: 'wasm', threads: 1 });
  const [before, made] = [leakedTensors(), tensorsFromNow()];
  (() => {
    const x = tensor([1, 2], [2], { device, requiresGradient: true });
    const y = softmax(mul(x, x));
    y.pipe(mul, y);
  })();
  for (let i = 0; i < 100 && device.ledger.live() > 0; i++) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    collect();
  }
  // the collector may have found what an earlier test left too
  expect(leakedTensors() - before).toBeGreaterThanOrEqual(4);
  expect(made()).toBe(4);
  expect(device.ledger.live()).toBe(0);
  await device.dispose();
});
