import { describe, expect, test } from 'vitest';
import { CapabilityError, DeviceError, OptionError, OutOfMemoryError } from '../../../src/core/errors.js';
import { createDevice } from '../../../src/devices/index.js';
import { add, cast, gather } from '../../../src/ops/index.js';
import { scope, tensor, zeros } from '../../../src/tensor/index.js';
import { fakeGpu } from '../../support/fake-gpu.js';
import { noWebGpu, rawGpu, webGpuDevice } from '../../support/webgpu.js';

test('no adapter: what is missing, and what to use instead', async () => {
  const gpu = { requestAdapter: () => Promise.resolve(null) };
  const attempt = createDevice({ kind: 'webgpu', gpu });
  await expect(attempt).rejects.toThrow(CapabilityError);
  await expect(attempt).rejects.toThrow(/kind "webgpu": no adapter: .*driver.*use kind "auto"/);
});

test('a GPUDevice that is given is used as it is, and outlives the device', async () => {
  let destroyed = false;
  const gpu = { ...fakeGpu(), destroy: () => (destroyed = true) };
  const device = await createDevice({ kind: 'webgpu', gpu });
  expect(device.info.reasons).toEqual([
    'WebGPU, on the GPUDevice that was given.',
    'Adapter: unnamed.',
    'Tier T0, not T1: bindings end at 128 MiB and workgroup memory at 16 KiB.',
  ]);
  await device.dispose();
  expect(destroyed).toBe(false);
});

test('a tensor that no binding holds: which limit, how much, what would fit', async () => {
  const device = await createDevice({ kind: 'webgpu', gpu: fakeGpu() });
  const limit = (2 ** 27).toLocaleString('en-US');
  const attempt = (): unknown => device.allocate(2 ** 27, 'tensor');
  expect(attempt).toThrow(OutOfMemoryError);
  expect(attempt).toThrow(`134,217,728 bytes asked (tensor), 0 bytes live, ${limit} bytes allowed by this GPU's`);
  expect(attempt).toThrow(/maxStorageBufferBindingSize.*one tensor of 134,217,472 bytes would fit/);
  device.free(device.allocate(2 ** 27 - 256, 'tensor'));
  await device.dispose();
});

describe.skipIf(noWebGpu !== undefined)(`webgpu ${noWebGpu ?? ''}`, () => {
  test('a lost device: every call says so, and where to go on', async () => {
    const gpu = await rawGpu();
    const device = await createDevice({ kind: 'webgpu', gpu });
    expect(device.info.reasons.join(' ')).toMatch(/Tier T0/);
    const x = tensor([1, 2], [2], { device });
    const pending = x.data();
    expect([...(await pending)]).toEqual([1, 2]);
    gpu.destroy();
    await expect(x.data()).rejects.toThrow(DeviceError);
    await expect(x.data()).rejects.toThrow(
      /the GPU was lost \(destroyed.*what it held is gone.*from the last checkpoint/,
    );
    expect(() => add(x, x)).toThrow(/the GPU was lost/);
    x.dispose();
    await device.dispose();
  });

  test('a device that is lost while something is awaited', async () => {
    const gpu = await rawGpu();
    const device = await createDevice({ kind: 'webgpu', gpu });
    const x = tensor([1, 2], [2], { device });
    const pending = x.data();
    gpu.destroy();
    // what had come back by then may be whole; else it is the loss that is told
    const result = await pending.then(
      (values) => [...values],
      (error: unknown) => String(error),
    );
    if (typeof result === 'string') expect(result).toMatch(/the GPU was lost/);
    else expect(result).toEqual([1, 2]);
    x.dispose();
    await device.dispose();
  });

  test('tensors of two devices', async () => {
    const device = await webGpuDevice();
    const other = await createDevice({ kind: 'wasm', threads: 1 });
    const [x, y] = [zeros([2], { device }), zeros([2], { device: other })];
    expect(() => add(x, y)).toThrow(/on webgpu.*on wasm/);
    x.dispose();
    y.dispose();
    await device.dispose();
    await other.dispose();
  });

  test('an index out of range that the GPU finds is told at the next await', async () => {
    const device = await webGpuDevice();
    const indices = tensor([0, 1, 7], [3], { device });
    const found = scope(() => gather(zeros([3, 2], { device }), cast(indices, 'i32'), { axis: 0 }));
    await expect(found.data()).rejects.toThrow(OptionError);
    await expect(found.data()).resolves.toHaveLength(6);
    found.dispose();
    indices.dispose();
    await device.dispose();
  });

  test('every storage format is there without features: their words are put together', async () => {
    const device = await createDevice({ kind: 'webgpu', gpu: await rawGpu() });
    for (const dtype of ['f16', 'bf16', 'u8', 'i32'] as const) {
      const x = tensor([1, 2, 3], [3], { device, dtype });
      expect([...(await x.data())].length, dtype).toBe(3);
      x.dispose();
    }
    await device.dispose();
  });
});
