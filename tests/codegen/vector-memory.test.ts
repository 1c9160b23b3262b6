import { describe, expect, test } from 'vitest';
import { renderWasm } from '../../src/codegen/render/wasm.js';
import type { F32, I32, Pointer, VectorBuilder, VF, VI } from '../../src/codegen/vector.js';
import { createDevice } from '../../src/devices/index.js';
import type { Kernel } from '../../src/codegen/kernel.js';
import { uniform } from '../support/random.js';
import { onEveryTarget, targets } from '../support/targets.js';
import { full } from '../support/full.js';

const BYTES = 1024;
const MAX_WIDTH = 16;
const sizes = { vf: 4, vi: 4, vu8: 1, vu16: 2 } as const;
type Narrow = keyof typeof sizes;
const accesses = Object.keys(sizes) as Narrow[];

interface Inputs {
  readonly from: Pointer;
  readonly addresses: Pointer;
  readonly count: I32;
  readonly three: I32;
  readonly index: VI;
}
interface Load {
  readonly name: string;
  readonly build: (k: VectorBuilder, x: Inputs) => VF | VI | F32 | I32;
  /** What lane `lane` holds, as bits. */
  readonly want: (from: DataView, lane: number, count: number) => number;
}

const loadOf = {
  vf: (k: VectorBuilder, p: Pointer, at: number, count?: I32) => k.loadVF(p, at, count),
  vi: (k: VectorBuilder, p: Pointer, at: number, count?: I32) => k.loadVI(p, at, count),
  vu8: (k: VectorBuilder, p: Pointer, at: number, count?: I32) => k.loadVU8(p, at, count),
  vu16: (k: VectorBuilder, p: Pointer, at: number, count?: I32) => k.loadVU16(p, at, count),
};
const element = (view: DataView, access: Narrow, at: number): number =>
  access === 'vu8' ? view.getUint8(at) : access === 'vu16' ? view.getUint16(at, true) : view.getInt32(at, true);

const word = (at: number) => (view: DataView) => view.getInt32(at, true);
/** Elements of the gathers, around the middle of the source. */
const indices = [-100, 0, 3, 3, -1, 100, 17, 2, 99, -64, 5, 6, 7, -8, 1, 0];

const loads: readonly Load[] = [
  { name: 'loadI32', build: (k, x) => k.loadI32(x.from), want: word(0) },
  { name: 'loadI32 at 28', build: (k, x) => k.loadI32(x.from, 28), want: word(28) },
  { name: 'loadF32 at 44', build: (k, x) => k.loadF32(x.from, 44), want: word(44) },
  { name: 'loadU8 at 13', build: (k, x) => k.loadU8(x.from, 13), want: (view) => view.getUint8(13) },
  { name: 'loadU16 at 26', build: (k, x) => k.loadU16(x.from, 26), want: (view) => view.getUint16(26, true) },
  { name: 'loadSplat at 8', build: (k, x) => k.loadSplat(x.from, 8), want: word(8) },
  ...accesses.flatMap((access): Load[] =>
    [0, 3].flatMap((start) => {
      const at = start * sizes[access];
      const want = (view: DataView, lane: number): number => element(view, access, at + sizes[access] * lane);
      return [
        { name: `load ${access} at ${at}`, build: (k, x) => loadOf[access](k, x.from, at), want },
        {
          name: `load ${access} at ${at} in part`,
          build: (k, x) => loadOf[access](k, x.from, at, x.count),
          want: (view, lane, count) => (lane < count ? want(view, lane) : 0),
        },
      ];
    }),
  ),
  ...[0, 4, 12, 60].map((stride): Load => ({
    name: `loadStrided by ${stride}`,
    build: (k, x) => k.loadStrided(x.from, stride, 8),
    want: (view, lane) => view.getInt32(8 + stride * lane, true),
  })),
  {
    name: 'shuffle: the next lane of the first, then the lane of the second',
    build: (k, x) => {
      const lanes = Array.from({ length: k.width }, (_, i) => (i % 2 === 0 ? i + 1 : k.width + i));
      return k.shuffle(k.loadVF(x.from, 0), k.loadVF(x.from, 128), lanes);
    },
    want: (view, lane) => view.getInt32(lane % 2 === 0 ? 4 * (lane + 1) : 128 + 4 * lane, true),
  },
  {
    name: 'gatherVF',
    build: (k, x) => k.gatherVF(k.offset(x.from, BYTES / 2), x.index),
    want: (view, lane) => view.getInt32(BYTES / 2 + 4 * indices[lane]!, true),
  },
  {
    name: 'gatherVI',
    build: (k, x) => k.gatherVI(k.offset(x.from, BYTES / 2), x.index),
    want: (view, lane) => view.getInt32(BYTES / 2 + 4 * indices[lane]!, true),
  },
  {
    name: 'gatherVI of bytes',
    build: (k, x) => k.gatherVI(k.offset(x.from, BYTES / 2), x.index, 'vu8'),
    want: (view, lane) => view.getUint8(BYTES / 2 + indices[lane]!),
  },
  {
    name: 'offset by a negative index',
    build: (k, x) => k.loadVI(k.offset(k.offset(x.from, x.three, 64), -20, 4), 16),
    want: (view, lane) => view.getInt32(3 * 64 - 80 + 16 + 4 * lane, true),
  },
  {
    name: 'offset by a computed stride',
    build: (k, x) => k.loadI32(k.offset(x.from, k.mul(x.three, 5), k.add(x.three, 1))),
    want: word(60),
  },
  {
    name: 'loadPointer',
    build: (k, x) => k.loadF32(k.loadPointer(x.addresses, 8), 20),
    want: word(20),
  },
  {
    name: 'select of pointers',
    build: (k, x) => k.loadI32(k.select(k.gt(x.three, 2), k.offset(x.from, 36), x.from)),
    want: word(36),
  },
];

const REGION = 1024;
interface Store {
  readonly name: string;
  readonly build: (
    k: VectorBuilder,
    to: Pointer,
    x: Inputs & { readonly value: VF; readonly small: VI; readonly medium: VI },
  ) => void;
  readonly want: (to: DataView, lane: number, count: number) => void;
}

const values = uniform(4, MAX_WIDTH, -9, 9);
const bits = new Int32Array(values.buffer);
const small = Int32Array.from({ length: MAX_WIDTH }, (_, i) => [0, 255, 128, 127, 1][i % 5]!);
const medium = Int32Array.from({ length: MAX_WIDTH }, (_, i) => [65535, 0, 32768, 32767, 256][i % 5]!);
const put = (to: DataView, access: Narrow, at: number, lane: number): void => {
  if (access === 'vu8') to.setUint8(at + lane, small[lane]!);
  else if (access === 'vu16') to.setUint16(at + 2 * lane, medium[lane]!, true);
  else to.setInt32(at + 4 * lane, bits[lane]!, true);
};
const storeOf: {
  readonly [A in Narrow]: (
    k: VectorBuilder,
    to: Pointer,
    x: Parameters<Store['build']>[2],
    at: number,
    count?: I32,
  ) => void;
} = {
  vf: (k, to, x, at, count) => k.store(to, x.value, at, count),
  vi: (k, to, x, at, count) => k.store(to, k.bits(x.value), at, count),
  vu8: (k, to, x, at, count) => k.storeVU8(to, x.small, at, count),
  vu16: (k, to, x, at, count) => k.storeVU16(to, x.medium, at, count),
};
const once = (write: (to: DataView) => void) => (to: DataView, lane: number) => (lane === 0 ? write(to) : undefined);

const stores: readonly Store[] = [
  {
    name: 'store i32',
    build: (k, to) => k.store(to, k.constant('i32', -5), 12),
    want: once((to) => to.setInt32(12, -5, true)),
  },
  {
    name: 'store f32',
    build: (k, to) => k.store(to, k.constant('f32', 1.5), 4),
    want: once((to) => to.setFloat32(4, 1.5, true)),
  },
  {
    name: 'storeU8',
    build: (k, to) => k.storeU8(to, k.constant('i32', 0x1234), 3),
    want: once((to) => to.setUint8(3, 0x34)),
  },
  {
    name: 'storeU16',
    build: (k, to) => k.storeU16(to, k.constant('i32', -0x54321), 6),
    want: once((to) => to.setUint16(6, -0x54321 & 0xffff, true)),
  },
  ...accesses.flatMap((access): Store[] =>
    [0, 3].flatMap((start) => {
      const at = start * sizes[access];
      return [
        {
          name: `store ${access} at ${at}`,
          build: (k, to, x) => storeOf[access](k, to, x, at),
          want: (to, lane) => put(to, access, at, lane),
        },
        {
          name: `store ${access} at ${at} in part`,
          build: (k, to, x) => storeOf[access](k, to, x, at, x.count),
          want: (to, lane, count) => (lane < count ? put(to, access, at, lane) : undefined),
        },
      ];
    }),
  ),
  ...[4, 12, 60].map((stride): Store => ({
    name: `storeStrided by ${stride}`,
    build: (k, to, x) => k.storeStrided(to, x.value, stride, 8),
    want: (to, lane) => to.setInt32(8 + stride * lane, bits[lane]!, true),
  })),
];

const kernel: Kernel = {
  name: 'every access',
  key: '',
  parameters: [...Array.from({ length: 8 }, () => 'pointer' as const), 'i32', 'i32'],
  cpu: (k) => {
    const [from, to, out, addresses, index, value, narrow, middle] = Array.from({ length: 8 }, (_, i) =>
      k.parameter(i, 'pointer'),
    );
    const inputs = {
      from: from!,
      addresses: addresses!,
      count: k.parameter(8, 'i32'),
      three: k.parameter(9, 'i32'),
      index: k.loadVI(index!),
    };
    loads.forEach((load, slot) => {
      const got = load.build(k, inputs);
      const vector = got.kind === 'f32' ? k.splat(got) : got.kind === 'i32' ? k.splat(got) : (got as VF);
      k.store(k.offset(out!, slot, 4 * MAX_WIDTH), vector);
    });
    const operands = { ...inputs, value: k.loadVF(value!), small: k.loadVI(narrow!), medium: k.loadVI(middle!) };
    stores.forEach((store, slot) => store.build(k, k.offset(to!, slot, REGION), operands));
  },
};

onEveryTarget((target) => {
  const { width } = target;
  const source = uniform(3, BYTES / 4, -100, 100);
  const view = new DataView(source.buffer);
  const run = (count: number): { out: Int32Array; to: Uint8Array } => {
    const out = new Int32Array(MAX_WIDTH * loads.length);
    const to = new Uint8Array(REGION * stores.length).fill(0xee);
    const from = source.slice();
    const index = Int32Array.from(indices);
    target.run(kernel, [from, to, out, { addressesOf: [1, 0] }, index, values, small, medium, count, 3]);
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
