// of devices/cpu/device

import { describe, expect, test } from 'vitest';
import { CapabilityError, DeviceError, OptionError, OutOfMemoryError } from '../../src/core/errors.js';
import { createDevice, type DeviceOptions } from '../../src/devices/index.js';
import { affine, CHUNK, device, floats, nativeSupport, sumThroughScratch, traps } from './cpu/fixtures.js';
import { full } from '../support/full.js';

const native = await nativeSupport();
const KINDS = ['wasm', 'native'] as const;
const TASKS = 101;
const input = Float32Array.from({ length: TASKS * CHUNK }, (_, i) => Math.sin(i) * 3);

describe.each(KINDS)('%s', (kind) => {
  const skip = kind === 'native' && !native.available;
  const label = skip ? native.reason : '';

  test.skipIf(skip)(`y = a·x + b, equal bits for 1 to 4 threads and any grain${label}`, async () => {
    const results: Uint8Array[] = [];
    for (const threads of [1, 2, 3, 4]) {
      const d = await device({ kind, threads });
      expect(d.info).toMatchObject({ kind, threads });
      const x = d.allocate(input.byteLength, 'tensor');
      const y = d.allocate(input.byteLength, 'tensor');
      d.write(x, input);
      for (const grain of [1, 7, 200]) {
        d.write(y, new Float32Array(input.length).fill(NaN));
        d.run(affine(), [x, y, 1.5, -0.25], TASKS, { grain });
        results.push(await d.read(y));
      }
      expect(d.counters.dispatches).toBe(3);
    }
    const fused = (await device({ kind, threads: 1 })).info.fusedMultiplyAdd;
    const got = floats(results[0]!);
    // a·x is exact in float64; a fused result is its sum with b rounded once, an unfused one rounded twice
    const expected = input.map((value) => (fused ? 1.5 * value : Math.fround(1.5 * value)) - 0.25);
    expect(got).toEqual(expected);
    for (const result of results) expect(Buffer.compare(result, results[0]!)).toBe(0);
  });

  test.skipIf(skip)(`each thread has a scratch of its own, counted only while in use${label}`, async () => {
    for (const threads of [1, 4]) {
      const d = await device({ kind, threads });
      const x = d.allocate(input.byteLength, 'tensor');
      const sums = d.allocate(4 * TASKS, 'tensor');
      d.write(x, input);
      d.ledger.mark();
      d.run(sumThroughScratch, [x, sums], TASKS, { scratchBytes: 4 * CHUNK });
      expect(d.ledger.peak - d.ledger.live()).toBe(4 * CHUNK * threads);
      expect(d.ledger.live('workspace')).toBe(0);
      const got = floats(await d.read(sums));
      for (let task = 0; task < TASKS; task++) {
        const expected = input.subarray(task * CHUNK, (task + 1) * CHUNK).reduce((a, b) => Math.fround(a + b), 0);
        expect(got[task]).toBe(expected);
      }
    }
  });

  test.skipIf(skip)(`parts of buffers, negative numbers, no tasks at all${label}`, async () => {
    const d = await device({ kind, threads: 1 });
    const x = d.allocate(8 * CHUNK, 'tensor');
    const y = d.allocate(8 * CHUNK, 'tensor');
    d.write(
      x,
      Float32Array.from({ length: CHUNK }, (_, i) => i),
      4 * CHUNK,
    );
    d.write(y, new Float32Array(2 * CHUNK));
    d.run(affine(), [{ buffer: x, byteOffset: 4 * CHUNK }, { buffer: y, byteOffset: 4 * CHUNK }, -1, 0], 1);
    d.run(affine(), [x, y, 1, 1], 0);
    const got = floats(await d.read(y));
    expect(got.subarray(0, CHUNK).every((value) => value === 0)).toBe(true);
    expect(got[2 * CHUNK - 1]).toBe(1 - CHUNK);
    expect(floats(await d.read(y, 4 * CHUNK + 4, 4))[0]).toBe(-1);
    const out = d.allocate(4 * 4, 'tensor');
    d.run(traps, [out, -2], 4);
    expect([...new Int32Array((await d.read(out)).buffer)]).toEqual([0, 0, 0, 0]);
  });

  test.skipIf(skip)(`kernels of one key are compiled once, of different keys apart${label}`, async () => {
    const d = await device({ kind, threads: 2 });
    const buffer = d.allocate(CHUNK * 4 * 4, 'tensor');
    let built = 0;
    const counted = (key: string) => {
      const kernel = affine(key);
      return { ...kernel, cpu: (...args: Parameters<typeof kernel.cpu>) => (built++, kernel.cpu(...args)) };
    };
    for (const key of ['a', 'a', 'b']) d.run(counted(key), [buffer, buffer, 1, 1], 4);
    expect(built).toBe(2);
    await d.compileAll([affine('c'), affine('d')]);
    d.run(affine('c'), [buffer, buffer, 1, 1], 4);
  });

  test.skipIf(skip)(`wrong arguments are refused before anything runs${label}`, async () => {
    const d = await device({ kind, threads: 1 });
    const other = await device({ kind: 'wasm', threads: 1 });
    const x = d.allocate(4 * CHUNK, 'tensor');
    const stale = d.allocate(4 * CHUNK, 'tensor');
    d.free(stale);
    const cases: [unknown[], RegExp][] = [
      [[x, x, 1], /affine: takes 4 arguments .* got 3/],
      [[x, 1, 1, 1], /argument 1 must be a pointer; got a number/],
      [[x, x, x, 1], /argument 2 must be a f32; got a object/],
      [[x, stale, 1, 1], /was freed already/],
      [[x, other.allocate(4, 'tensor'), 1, 1], /does not belong to this device/],
      [[x, { buffer: x, byteOffset: 4 * CHUNK + 1 }, 1, 1], /byte offset 257 lies outside a buffer of 256 bytes/],
    ];
    for (const [args, message] of cases) {
      expect(() => d.run(affine(), args as never, 1)).toThrow(DeviceError);
      expect(() => d.run(affine(), args as never, 1)).toThrow(message);
    }
    expect(() => d.run(traps, [x, 2 ** 31], 1)).toThrow(/32-bit whole number; got 2147483648/);
    for (const tasks of [-1, 0.5, NaN, 2 ** 31])
      expect(() => d.run(affine(), [x, x, 1, 1], tasks)).toThrow(OptionError);
    for (const grain of [0, 0.5]) expect(() => d.run(affine(), [x, x, 1, 1], 1, { grain })).toThrow(OptionError);
    expect(d.counters.dispatches).toBe(0);
  });

  test.skipIf(skip)(`buffers: bounds, double free, poison, leaks of a disposed device${label}`, async () => {
    const d = await device({ kind, threads: 1 });
    const buffer = d.allocate(10, 'saved');
    expect(d.ledger.live('saved')).toBe(10);
    expect([...new Uint32Array((await d.read(buffer, 0, 8)).buffer)]).toEqual([0x7fc0dead, 0x7fc0dead]);
    expect(() => d.write(buffer, new Uint8Array(11))).toThrow(/bytes 0 to 11 do not lie inside a buffer of 10/);
    await expect(d.read(buffer, 8, 4)).rejects.toThrow(DeviceError);
    d.free(buffer);
    expect(() => d.free(buffer)).toThrow(/free: this buffer \(10 bytes, saved\) was freed already/);
    expect(() => d.free({ ...buffer })).toThrow(/does not belong to this device/);
    expect(d.allocate(0, 'tensor').byteLength).toBe(0);
    for (const bytes of [-1, 0.5, NaN]) expect(() => d.allocate(bytes, 'tensor')).toThrow(OptionError);
    const kept = d.allocate(100, 'tensor');
    await d.dispose();
    await d.dispose();
    expect(d.ledger.live()).toBe(0);
    d.free(kept);
    expect(() => d.allocate(1, 'tensor')).toThrow(/allocate: the device was disposed/);
    expect(() => d.run(affine(), [], 1)).toThrow(DeviceError);
    await expect(d.read(kept)).rejects.toThrow(DeviceError);
  });

  test.skipIf(skip)(`memory grows on demand up to the limit, and is reused${label}`, async () => {
    const limit = 96 * 2 ** 20;
    const d = await device({ kind, threads: 1, memoryLimit: limit, poison: false });
    expect(d.info.memoryLimit).toBe(limit);
    const buffers = Array.from({ length: 80 }, () => d.allocate(2 ** 20, 'tensor'));
    let error: unknown;
    try {
      d.allocate(30_000_000, 'workspace');
    } catch (caught) {
      error = caught;
    }
    expect(error).toBeInstanceOf(OutOfMemoryError);
    expect((error as Error).message).toContain(
      'allocate: 30,000,000 bytes asked (workspace), 83,886,080 bytes live, 100,663,296 bytes allowed by memoryLimit.',
    );
    // the device is as good as before
    for (const buffer of buffers) d.free(buffer);
    const large = d.allocate(60 * 2 ** 20, 'tensor');
    d.write(large, Uint8Array.of(7), 60 * 2 ** 20 - 1);
    expect([...(await d.read(large, 60 * 2 ** 20 - 1))]).toEqual([7]);
  });

  test.skipIf(skip)(`free memory in pieces is told apart from no memory${label}`, async () => {
    const d = await device({ kind, threads: 1, memoryLimit: 16 * 2 ** 20, poison: false });
    const buffers = Array.from({ length: 15 }, () => d.allocate(2 ** 20, 'tensor'));
    for (let i = 0; i < buffers.length; i += 2) d.free(buffers[i]!);
    expect(() => d.allocate(4 * 2 ** 20, 'tensor')).toThrow(/The free bytes are in pieces; the largest has [12],/);
  });
});

test('a trap is an error with a remedy, on the calling thread and in workers, and ends the device', async () => {
  for (const threads of [1, 3]) {
    for (const bad of [0, 500, 999]) {
      const d = await device({ kind: 'wasm', threads });
      const out = d.allocate(4000, 'tensor');
      expect(() => d.run(traps, [out, bad], 1000)).toThrow(
        /traps: the kernel failed .*divide by zero.* dispose of the device and create a new one/,
      );
      expect(() => d.run(traps, [out, -1], 1000)).toThrow(DeviceError);
      // what was computed before is still there to be read
      expect((await d.read(out)).length).toBe(4000);
    }
  }
});

test('one buffer of more than 4 GiB is refused on every device', async () => {
  const d = await device({ poison: false, threads: 1 });
  expect(() => d.allocate(2 ** 32, 'tensor')).toThrow(OutOfMemoryError);
});

test.skipIf(!full || !native.available)(`native memory holds more than 4 GiB in total${native.reason}`, async () => {
  const d = await device({ kind: 'native', threads: 2, poison: false });
  const buffers = Array.from({ length: 6 }, () => d.allocate(2 ** 30, 'tensor'));
  const tail = 2 ** 30 - 4 * CHUNK;
  for (const [i, buffer] of buffers.entries()) d.write(buffer, new Float32Array(CHUNK).fill(i), tail);
  for (const buffer of buffers) {
    const part = { buffer, byteOffset: tail };
    d.run(affine(), [part, part, 2, 1], 1);
  }
  for (const [i, buffer] of buffers.entries()) expect(floats(await d.read(buffer, tail))[0]).toBe(2 * i + 1);
  const before = process.memoryUsage().rss;
  for (const buffer of buffers) d.write(buffer, new Uint8Array(2 ** 28).fill(1));
  expect(process.memoryUsage().rss - before).toBeGreaterThan(2 ** 30);
  await d.dispose();
  expect(process.memoryUsage().rss - before, 'pages return to the system').toBeLessThan(2 ** 29);
});

describe('createDevice', () => {
  test.each([
    [{ threads: 0 }, OptionError, /threads must be a whole number from 1 to 256, the calling thread included; got 0/],
    [{ threads: 1.5 }, OptionError, /got 1\.5/],
    [{ threads: 257 }, OptionError, /got 257/],
    [{ kind: 'gpu' }, OptionError, /kind must be "auto", "native", "wasm" or "webgpu"; got "gpu"/],
    [{ gpu: {} }, OptionError, /gpu must be a GPUDevice or a GPU/],
    [{ kind: 'wasm', gpu: { queue: 1 } }, OptionError, /gpu goes with kind "webgpu"; got kind "wasm"/],
    [{ thread: 2 }, OptionError, /unknown option "thread" \(did you mean "threads"\?\)/],
    [{ memoryLimit: 10 }, OptionError, /memoryLimit must be a whole number of bytes, at least 65536; got 10/],
  ] as const)('%o is refused', async (options, type, message) => {
    const attempt = createDevice(options as DeviceOptions);
    await expect(attempt).rejects.toThrow(type);
    await expect(attempt).rejects.toThrow(message);
  });

  test('says why it chose what it chose', async () => {
    const d = await device({});
    expect(d.info.reasons.length).toBeGreaterThan(1);
    for (const reason of d.info.reasons) expect(reason).toMatch(/^[A-Za-z].*[^ ]$/s);
    const wasm = await device({ kind: 'wasm', threads: 2 });
    expect(wasm.info.reasons.join(' ')).toMatch(/WebAssembly, as asked\..*threads: 2, as asked\./);
    expect(wasm.info).toMatchObject({ width: 4, memoryLimit: 2 ** 32 });
  });

  test('without a working compiler: native is refused with the remedy, auto takes WebAssembly and says so', async () => {
    const saved = process.env['CC'];
    process.env['CC'] = '/nowhere/cc';
    try {
      const refused = createDevice({ kind: 'native' });
      await expect(refused).rejects.toThrow(CapabilityError);
      await expect(refused).rejects.toThrow(
        'CC is set to "/nowhere/cc", which does not work (command not found); correct CC or unset it.',
      );
      const d = await device({ threads: 1 });
      expect(d.info.kind).toBe('wasm');
      expect(d.info.reasons[0]).toMatch(/^WebAssembly, not native: CC is set to/);
    } finally {
      if (saved === undefined) delete process.env['CC'];
      else process.env['CC'] = saved;
    }
  });
});
