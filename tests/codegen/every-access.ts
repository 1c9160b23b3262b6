import type { F32, I32, Pointer, VectorBuilder, VF, VI } from '../../src/codegen/vector.js';
import type { Kernel } from '../../src/codegen/kernel.js';
import { uniform } from '../support/random.js';

export const BYTES = 2048;
export const MAX_WIDTH = 32;
export const sizes = { vf: 4, vi: 4, vu8: 1, vu16: 2 } as const;
type Narrow = keyof typeof sizes;
export const accesses = Object.keys(sizes) as Narrow[];

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

export const loadOf = {
  vf: (k: VectorBuilder, p: Pointer, at: number, count?: I32) => k.loadVF(p, at, count),
  vi: (k: VectorBuilder, p: Pointer, at: number, count?: I32) => k.loadVI(p, at, count),
  vu8: (k: VectorBuilder, p: Pointer, at: number, count?: I32) => k.loadVU8(p, at, count),
  vu16: (k: VectorBuilder, p: Pointer, at: number, count?: I32) => k.loadVU16(p, at, count),
};
const element = (view: DataView, access: Narrow, at: number): number =>
  access === 'vu8' ? view.getUint8(at) : access === 'vu16' ? view.getUint16(at, true) : view.getInt32(at, true);

const word = (at: number) => (view: DataView) => view.getInt32(at, true);
/** Elements of the gathers, around the middle of the source. */
export const indices = [
  -100, 0, 3, 3, -1, 100, 17, 2, 99, -64, 5, 6, 7, -8, 1, 0, 9, 8, -100, 2, 2, 40, 41, 42, -3, 33, 99, 0, 12, -12, 1,
  100,
];

export const loads: readonly Load[] = [
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
    name: 'loadStrided backwards',
    build: (k, x) => k.loadStrided(x.from, -12, 12 * MAX_WIDTH),
    want: (view, lane) => view.getInt32(12 * (MAX_WIDTH - lane), true),
  },
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

export const REGION = 2048;
export interface Store {
  readonly name: string;
  readonly build: (
    k: VectorBuilder,
    to: Pointer,
    x: Inputs & { readonly value: VF; readonly small: VI; readonly medium: VI },
  ) => void;
  readonly want: (to: DataView, lane: number, count: number) => void;
}

export const values = uniform(4, MAX_WIDTH, -9, 9);
const bits = new Int32Array(values.buffer);
export const small = Int32Array.from({ length: MAX_WIDTH }, (_, i) => [0, 255, 128, 127, 1][i % 5]!);
export const medium = Int32Array.from({ length: MAX_WIDTH }, (_, i) => [65535, 0, 32768, 32767, 256][i % 5]!);
const put = (to: DataView, access: Narrow, at: number, lane: number): void => {
  if (access === 'vu8') to.setUint8(at + lane, small[lane]!);
  else if (access === 'vu16') to.setUint16(at + 2 * lane, medium[lane]!, true);
  else to.setInt32(at + 4 * lane, bits[lane]!, true);
};
export const storeOf: {
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

export const stores: readonly Store[] = [
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

export const everyAccess: Kernel = {
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
