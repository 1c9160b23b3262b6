import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DeviceError } from '../../../src/core/errors.js';
import type { Kernel } from '../../../src/codegen/kernel.js';
import { parameterList } from '../../../src/kernels/parameters.js';
import type { WebGpuDevice } from '../../../src/devices/webgpu/device.js';
import { noWebGpu, webGpuDevice } from '../../support/webgpu.js';

const p = parameterList({ x: 'pointer', y: 'pointer', factor: 'f32', count: 'i32' });
const never = (): never => {
  throw new Error('not on a CPU');
};
/** y = factor·x, 64 elements a task. */
const scale: Kernel = {
  name: 'scale on a GPU',
  key: '',
  parameters: p.kinds,
  cpu: never,
  gpu: () => ({
    wgsl: `fn run(task: u32, lane: u32) {
      let i = task * 64u + lane;
      if (i < u32(${p.wgsl.count})) {
        arena[${p.wgsl.y} / 4u + i] = bitcast<u32>(${p.wgsl.factor} * bitcast<f32>(arena[${p.wgsl.x} / 4u + i]));
      }
    }`,
    workgroupSize: 64,
  }),
};
const broken: Kernel = {
  ...scale,
  key: 'broken',
  gpu: () => ({ wgsl: 'fn run(task: u32, lane: u32) { nonsense; }', workgroupSize: 1 }),
};
const floats = (bytes: Uint8Array): number[] => [...new Float32Array(bytes.slice().buffer)];

describe.skipIf(noWebGpu !== undefined)(`webgpu ${noWebGpu ?? ''}`, () => {
  let device: WebGpuDevice;
  beforeAll(async () => {
    device = await webGpuDevice();
  });
  afterAll(() => device.dispose());

  test('runs a text over the arena, in order with writes and reads', async () => {
    const count = 1000;
    const x = device.allocate(4 * count, 'tensor');
    const y = device.allocate(4 * count, 'tensor');
    const data = Float32Array.from({ length: count }, (_, i) => i);
    device.write(x, data);
    device.run(scale, p.pack({ x, y, factor: 2, count }), Math.ceil(count / 64));
    // after what is recorded, though the queue's own write would overtake it
    device.write(
      x,
      data.map(() => -1),
    );
    data.fill(NaN);
    device.run(scale, p.pack({ x: y, y, factor: 0.5, count }), Math.ceil(count / 64));
    const early = device.read(y);
    device.run(scale, p.pack({ x: y, y, factor: 0, count }), Math.ceil(count / 64));
    expect(floats(await early)).toEqual(Array.from({ length: count }, (_, i) => i));
    expect(new Set(floats(await device.read(x)))).toEqual(new Set([-1]));
    expect(new Set(floats(await device.read(y)))).toEqual(new Set([0]));
    device.free(x);
    device.free(y);
  });

  test('writes of any bytes leave their neighbours, and fresh memory is poison', async () => {
    const buffer = device.allocate(40, 'tensor');
    expect([...new Uint32Array((await device.read(buffer)).slice().buffer)].every((word) => word === 0x7fc0dead)).toBe(
      true,
    );
    const want = Uint8Array.from({ length: 40 }, (_, i) => 100 + i);
    device.write(buffer, want);
    for (const [at, length] of [
      [0, 1],
      [3, 1],
      [5, 2],
      [6, 4],
      [9, 7],
      [17, 3],
      [21, 0],
      [39, 1],
      [30, 5],
    ] as const) {
      const bytes = Uint8Array.from({ length }, (_, i) => at + i);
      want.set(bytes, at);
      device.write(buffer, bytes, at);
      expect(await device.read(buffer)).toEqual(want);
      expect(await device.read(buffer, at, length)).toEqual(bytes);
    }
    device.free(buffer);
  });

  test('the arena grows with what it holds, and says when it cannot', async () => {
    const small = await webGpuDevice({ memoryLimit: 80 * 2 ** 20, poison: false });
    try {
      const first = small.allocate(2 ** 20, 'tensor');
      small.write(first, new Uint8Array(2 ** 20).fill(7));
      const second = small.allocate(60 * 2 ** 20, 'tensor');
      small.write(second, new Uint8Array(100).fill(9), 59 * 2 ** 20);
      expect((await small.read(first)).every((byte) => byte === 7)).toBe(true);
      expect((await small.read(second, 59 * 2 ** 20, 100)).every((byte) => byte === 9)).toBe(true);
      expect(() => small.allocate(60 * 2 ** 20, 'tensor')).toThrow(
        /62,914,560 bytes asked.*83,886,080 bytes allowed by memoryLimit/,
      );
    } finally {
      await small.dispose();
    }
  });

  test('checks see what was there, before the next await resolves', async () => {
    const buffer = device.allocate(8, 'tensor');
    device.write(buffer, Int32Array.of(1, 2));
    const seen: number[] = [];
    device.guard(buffer, (bytes) => seen.push(...new Int32Array(bytes.slice().buffer)));
    device.write(buffer, Int32Array.of(3, 4));
    device.free(buffer);
    await device.synchronise();
    expect(seen).toEqual([1, 2]);
    const other = device.allocate(8, 'tensor');
    device.guard(other, () => {
      throw new DeviceError('found late');
    });
    await expect(device.read(other)).rejects.toThrow('found late');
    await device.read(other);
    device.free(other);
  });

  test('a text that the compiler refuses is told with its line', async () => {
    const own = await webGpuDevice();
    try {
      own.run(broken, p.pack({ x: own.allocate(4, 'tensor'), y: own.allocate(4, 'tensor'), factor: 1, count: 1 }), 1);
      await expect(own.synchronise()).rejects.toThrow(
        /scale on a GPU: the GPU refused its text: line \d+:.*\n.*nonsense/,
      );
      expect(() => own.allocate(4, 'tensor')).toThrow(DeviceError);
    } finally {
      await own.dispose();
    }
    const warm = await webGpuDevice();
    await expect(warm.compileAll([broken])).rejects.toThrow(/refused its text: line \d+/);
    await warm.dispose();
  });

  test('info names adapter and tier', () => {
    expect(device.info).toMatchObject({ kind: 'webgpu' });
    expect(device.info.reasons.join(' ')).toMatch(/Adapter: .*Tier T\d/);
  });
});
