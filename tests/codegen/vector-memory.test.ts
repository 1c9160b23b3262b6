import { describe, expect, test } from 'vitest';
import { renderWasm } from '../../src/codegen/render/wasm.js';
import { createDevice } from '../../src/devices/index.js';
import type { Kernel } from '../../src/codegen/kernel.js';
import { uniform } from '../support/random.js';
import { onEveryTarget, targets } from '../support/targets.js';
import { full } from '../support/full.js';
import {
  accesses,
  BYTES,
  everyAccess,
  indices,
  loadOf,
  loads,
  MAX_WIDTH,
  medium,
  REGION,
  sizes,
  small,
  type Store,
  storeOf,
  stores,
  values,
} from './every-access.js';

onEveryTarget((target) => {
  const { width } = target;
  const source = uniform(3, BYTES / 4, -100, 100);
  const view = new DataView(source.buffer);
  const run = (count: number): { out: Int32Array; to: Uint8Array } => {
    const out = new Int32Array(MAX_WIDTH * loads.length);
    const to = new Uint8Array(REGION * stores.length).fill(0xee);
    const from = source.slice();
    const index = Int32Array.from(indices);
    target.run(everyAccess, [from, to, out, { addressesOf: [1, 0] }, index, values, small, medium, count, 3]);
    return { out, to };
  };

  test('loads and stores of every access, whole and in part', () => {
    const counts = Array.from({ length: width + 6 }, (_, i) => i - 3);
    for (const count of [...counts, -(2 ** 31), 2 ** 31 - 1]) {
      const { out, to } = run(count);
      loads.forEach(({ name, want }, slot) => {
        const got = [...out.subarray(slot * MAX_WIDTH, slot * MAX_WIDTH + width)];
        expect(got, `${name}, count ${count}`).toEqual(
          Array.from({ length: width }, (_, lane) => want(view, lane, count)),
        );
      });
      stores.forEach(({ name, want }, slot) => {
        const expected = new Uint8Array(REGION).fill(0xee);
        for (let lane = 0; lane < width; lane++) want(new DataView(expected.buffer), lane, count);
        const got = to.subarray(slot * REGION, (slot + 1) * REGION);
        expect(Buffer.compare(got, expected), `${name}, count ${count}`).toBe(0);
      });
    }
  });

  test('what lies beyond a buffer is guarded, so that this test would notice a store there', () => {
    const beyond: Kernel = {
      name: 'beyond',
      key: '',
      parameters: ['pointer'],
      cpu: (k) => k.storeU8(k.parameter(0, 'pointer'), k.constant('i32', 1), 16),
    };
    expect(() => target.run(beyond, [new Uint8Array(16)])).toThrow(/wrote outside argument 0/);
  });
});

describe('the end of memory', () => {
  const PAGE = 65536;
  const edge: Kernel = {
    name: 'edge',
    key: '',
    parameters: [...Array.from({ length: 8 }, () => 'pointer' as const), 'i32'],
    cpu: (k) => {
      const count = k.parameter(8, 'i32');
      accesses.forEach((access, i) => loadOf[access](k, k.parameter(i, 'pointer'), 0, count));
      const one = k.constant('vi', 1);
      const operands = { value: k.fromBits(one), small: one, medium: one } as Parameters<Store['build']>[2];
      accesses.forEach((access, i) => storeOf[access](k, k.parameter(4 + i, 'pointer'), operands, 0, count));
    },
  };
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  const module = new WebAssembly.Module(renderWasm(edge, { relaxed: false }));
  const run = new WebAssembly.Instance(module, { env: { memory } }).exports['run'] as (...args: number[]) => number;
  const slots = new DataView(memory.buffer);

  test.each([0, 1, 2, 3])('%i lanes touch no byte beyond them', (count) => {
    const place = (addresses: readonly number[]): void => {
      addresses.forEach((address, i) => slots.setInt32(64 + 8 * i, address, true));
      slots.setInt32(64 + 8 * 8, count, true);
      run(64, 0, 0, 1);
    };
    const last = [...accesses, ...accesses].map((access) => PAGE - count * sizes[access]);
    place(last);
    if (count === 0) return;
    last.forEach((_, i) => {
      const further = last.map((address, j) => (i === j ? address + 1 : address));
      expect(() => place(further), `access ${i}`).toThrow(/out of bounds/);
    });
  });
});

const native = targets.some(({ name }) => name.startsWith('native'));
test.skipIf(!full || !native)('addresses and offsets beyond 2³¹ bytes', async () => {
  const FAR = 2 ** 31 + 4096;
  const far: Kernel = {
    name: 'far',
    key: '',
    parameters: ['pointer', 'i32'],
    cpu: (k) => {
      const [p, index] = [k.parameter(0, 'pointer'), k.parameter(1, 'i32')];
      // the same place four ways: 32-bit index times stride, constant offset, strided lanes, back from further on
      k.store(k.offset(p, index, 4), k.constant('f32', 1));
      k.store(p, k.constant('f32', 2), FAR + 4);
      k.storeStrided(p, k.toFloat(k.iota()), 64, FAR + 128);
      const back = k.offset(k.offset(p, index, 4), -1024, 4);
      const found = k.add(k.loadF32(p, FAR), k.mul(k.loadF32(k.offset(p, k.add(index, 1), 4)), 10));
      k.store(back, k.add(found, k.lane(k.loadStrided(k.offset(p, index, 4), 64, 128), 2)));
    },
  };
  const device = await createDevice({ kind: 'native', threads: 1 });
  const buffer = device.allocate(FAR + 65536, 'tensor');
  device.run(far, [buffer, FAR / 4], 1);
  const bytes = await device.read(buffer, FAR - 4096, 4);
  expect(new Float32Array(bytes.buffer)[0]).toBe(1 + 20 + 2);
  await device.dispose();
});
