import { record, type Kernel } from '../kernel.js';
import type { Access, Instruction, Kind, Operation, Value } from '../program.js';
import { float, moduleOf, signed, unsigned, valueTypes } from './wasm-binary.js';

const width = 4;
const types: Record<Kind, number> = {
  i32: valueTypes.i32,
  f32: valueTypes.f32,
  pointer: valueTypes.i32,
  vf: valueTypes.v128,
  vi: valueTypes.v128,
};
const simd = (code: number): number[] => [0xfd, ...unsigned(code)];
const get = (value: Value): number[] => [0x20, ...unsigned(value.id)];
const set = (value: Value): number[] => [0x21, ...unsigned(value.id)];
const i32 = (value: number): number[] => [0x41, ...signed(value)];
const shuffle = (lanes: readonly number[]): number[] => [
  ...simd(0x0d),
  ...lanes.flatMap((lane) => [4 * lane, 4 * lane + 1, 4 * lane + 2, 4 * lane + 3]),
];

type Numeric = Exclude<Kind, 'pointer'>;
/** Opcodes of operations that are one instruction on their operands, by the kind of the last operand. */
const plain: { readonly [O in Operation]?: { readonly [K in Numeric]?: readonly number[] } } = {
  add: { i32: [0x6a], f32: [0x92], vi: simd(0xae), vf: simd(0xe4) },
  sub: { i32: [0x6b], f32: [0x93], vi: simd(0xb1), vf: simd(0xe5) },
  mul: { i32: [0x6c], f32: [0x94], vi: simd(0xb5), vf: simd(0xe6) },
  div: { i32: [0x6d], f32: [0x95], vf: simd(0xe7) },
  rem: { i32: [0x6f] },
  min: { vi: simd(0xb6), vf: simd(0xea) },
  max: { vi: simd(0xb8), vf: simd(0xeb) },
  and: { i32: [0x71], vi: simd(0x4e) },
  or: { i32: [0x72], vi: simd(0x50) },
  xor: { i32: [0x73], vi: simd(0x51) },
  neg: { f32: [0x8c], vf: simd(0xe1) },
  abs: { f32: [0x8b], vf: simd(0xe0) },
  sqrt: { f32: [0x91], vf: simd(0xe3) },
  floor: { f32: [0x8e], vf: simd(0x68) },
  ceil: { f32: [0x8d], vf: simd(0x67) },
  nearest: { f32: [0x90], vf: simd(0x6a) },
  trunc: { f32: [0x8f], vf: simd(0x69) },
  lt: { i32: [0x48], f32: [0x5d], vi: simd(0x39), vf: simd(0x43) },
  le: { i32: [0x4c], f32: [0x5f], vi: simd(0x3d), vf: simd(0x45) },
  gt: { i32: [0x4a], f32: [0x5e], vi: simd(0x3b), vf: simd(0x44) },
  ge: { i32: [0x4e], f32: [0x60], vi: simd(0x3f), vf: simd(0x46) },
  eq: { i32: [0x46], f32: [0x5b], vi: simd(0x37), vf: simd(0x41) },
  ne: { i32: [0x47], f32: [0x5c], vi: simd(0x38), vf: simd(0x42) },
  splat: { f32: simd(0x13), i32: simd(0x11) },
  toFloat: { i32: [0xb2], vi: simd(0xfa) },
  toInt: { f32: [0xfc, 0x00], vf: simd(0xf8) },
  bits: { f32: [0xbc], vf: [] },
  keep: { vf: [] },
  fromBits: { i32: [0xbe], vi: [] },
  any: { vi: simd(0x53) },
};

type Emit = (args: readonly Value[], kind: Kind, immediate: number, relaxed: boolean) => number[];

const shift =
  (scalar: number, vector: number): Emit =>
  ([a], kind, bits) => [...get(a!), ...i32(bits), ...(kind === 'i32' ? [scalar] : simd(vector))];
/** `keep(a, b) ? a : b`-style scalar minimum and maximum with the builder's NaN rule. */
const scalarExtreme =
  (ints: number, floats: number): Emit =>
  ([a, b], kind) => [...get(b!), ...get(a!), ...get(a!), ...get(b!), kind === 'i32' ? ints : floats, 0x1b];
const reduce =
  (vector: number): Emit =>
  ([a]) => {
    const fold = (lanes: readonly number[], of: readonly number[]): number[] => [
      ...of,
      ...of,
      ...of,
      ...shuffle(lanes),
      ...simd(vector),
    ];
    const halves = fold([2, 3, 2, 3], get(a!));
    // lanes 0 and 1 hold the half sums; recomputing them is cheaper than a temporary local
    return [...halves, ...halves, ...halves, ...shuffle([1, 1, 1, 1]), ...simd(vector), ...simd(0x1f), 0];
  };
const extmul = (code: number, a: Value, b: Value): number[] => [...get(a), ...get(b), ...simd(code)];

/** Operations that need more than one instruction. */
const composed: { readonly [O in Operation]?: Emit } = {
  min: scalarExtreme(0x4a, 0x5e),
  max: scalarExtreme(0x48, 0x5d),
  shl: shift(0x74, 0xab),
  shrSigned: shift(0x75, 0xac),
  shrUnsigned: shift(0x76, 0xad),
  fma: ([a, b, c], kind, _, relaxed) => {
    if (kind === 'f32') return [...get(a!), ...get(b!), 0x94, ...get(c!), 0x92];
    if (relaxed) return [...get(a!), ...get(b!), ...get(c!), ...simd(0x105)];
    return [...get(a!), ...get(b!), ...simd(0xe6), ...get(c!), ...simd(0xe4)];
  },
  select: ([test, a, b], kind) =>
    kind === 'vf' || kind === 'vi'
      ? [...get(a!), ...get(b!), ...get(test!), ...simd(0x52)]
      : [...get(a!), ...get(b!), ...get(test!), 0x1b],
  lane: ([a], kind, index) => [...get(a!), ...simd(kind === 'vf' ? 0x1f : 0x1b), index],
  iota: () => [...simd(0x0c), ...[0, 1, 2, 3].flatMap((lane) => [lane, 0, 0, 0])],
  // the high words of the two halves' 64-bit products
  mulHighUnsigned: ([a, b]) => [...extmul(0xde, a!, b!), ...extmul(0xdf, a!, b!), ...shuffle([1, 3, 5, 7])],
  reduceAdd: reduce(0xe4),
  reduceMax: reduce(0xeb),
  reduceMin: reduce(0xea),
  offset: ([p, index, stride]) => [...get(p!), ...get(index!), ...get(stride!), 0x6c, 0x6a],
};

const memoryArgument = (offset: number): number[] => [0, ...unsigned(offset)];
const loads: Record<Access, (offset: number) => number[]> = {
  pointer: (o) => [0x28, ...memoryArgument(o)],
  i32: (o) => [0x28, ...memoryArgument(o)],
  f32: (o) => [0x2a, ...memoryArgument(o)],
  u8: (o) => [0x2d, ...memoryArgument(o)],
  u16: (o) => [0x2f, ...memoryArgument(o)],
  vf: (o) => [...simd(0x00), ...memoryArgument(o)],
  vi: (o) => [...simd(0x00), ...memoryArgument(o)],
  splat: (o) => [...simd(0x09), ...memoryArgument(o)],
  vu16: (o) => [...simd(0x04), ...memoryArgument(o)],
  // four bytes into the low lane, widened twice
  vu8: (o) => [...simd(0x5c), ...memoryArgument(o), ...simd(0x89), ...simd(0xa9)],
};
const storeCodes: Record<Exclude<Access, 'pointer' | 'splat' | 'vu8' | 'vu16'>, number[]> = {
  i32: [0x36],
  f32: [0x38],
  u8: [0x3a],
  u16: [0x3b],
  vf: simd(0x0b),
  vi: simd(0x0b),
};

/** Bytes of one element, its scalar load, lane replacement and lane store, for partial and gathered access. */
const elements = {
  vf: { size: 4, load: 'f32', replace: 0x20, lane: 0x5a },
  vi: { size: 4, load: 'i32', replace: 0x1c, lane: 0x5a },
  vu8: { size: 1, load: 'u8', replace: 0x1c, lane: 0x58 },
  vu16: { size: 2, load: 'u16', replace: 0x1c, lane: 0x59 },
} as const;
type Elements = keyof typeof elements;

const guarded = (count: Value, lane: number, body: readonly number[]): number[] => [
  ...get(count),
  ...i32(lane),
  0x4a, // count > lane
  0x04,
  0x40,
  ...body,
  0x0b,
];
const lanes = Array.from({ length: width }, (_, i) => i);
const zeroVector = [...simd(0x0c), ...new Array<number>(16).fill(0)];

function partialLoad(access: Elements, to: Value, from: Value, offset: number, count: Value): number[] {
  const { size, load, replace } = elements[access];
  const one = (lane: number): number[] => [
    ...get(to),
    ...get(from),
    ...loads[load](offset + size * lane),
    ...simd(replace),
    lane,
    ...set(to),
  ];
  return [...zeroVector, ...set(to), ...lanes.flatMap((lane) => guarded(count, lane, one(lane)))];
}

function partialStore(access: Elements, to: Value, value: Value, offset: number, count: Value): number[] {
  const { size, lane: code } = elements[access];
  // a narrow element is the low bytes of its 32-bit lane
  const one = (lane: number): number[] => [
    ...get(to),
    ...get(value),
    ...simd(code),
    ...memoryArgument(offset + size * lane),
    (lane * 4) / size,
  ];
  return lanes.flatMap((lane) => guarded(count, lane, one(lane)));
}

function gather(access: 'vf' | 'vi' | 'vu8', to: Value, from: Value, index: Value): number[] {
  const { size, load, replace } = elements[access];
  const one = (lane: number): number[] => [
    ...get(to),
    ...get(from),
    ...get(index),
    ...simd(0x1b),
    lane,
    ...i32(size),
    0x6c,
    0x6a,
    ...loads[load](0),
    ...simd(replace),
    lane,
    ...set(to),
  ];
  return lanes.flatMap(one);
}

function constant(kind: Kind, value: number): number[] {
  if (kind === 'f32') return [0x43, ...float(value)];
  if (kind === 'i32' || kind === 'pointer') return i32(value | 0);
  const bytes = kind === 'vf' ? float(value) : [...new Uint8Array(Int32Array.of(value).buffer)];
  return [...simd(0x0c), ...bytes, ...bytes, ...bytes, ...bytes];
}

function operation(op: Operation, args: readonly Value[], immediate: number, relaxed: boolean): number[] {
  const kind = args.at(-1)?.kind ?? 'vi';
  const code = kind === 'pointer' ? undefined : plain[op]?.[kind];
  if (code) return [...args.flatMap(get), ...code];
  const emit = composed[op];
  if (!emit) throw new Error(`wasm: no form of ${op} for ${kind}`);
  return emit(args, kind, immediate, relaxed);
}

function store(access: Access, to: Value, value: Value, offset: number): number[] {
  if (access === 'splat' || access === 'pointer') throw new Error(`wasm: a ${access} cannot be stored`);
  if (access === 'vu16')
    return [...get(to), ...get(value), ...get(value), ...simd(0x86), ...simd(0x5b), ...memoryArgument(offset), 0];
  if (access === 'vu8') {
    const narrow = [...get(value), ...get(value), ...simd(0x86)];
    return [...get(to), ...narrow, ...narrow, ...simd(0x66), ...simd(0x5a), ...memoryArgument(offset), 0];
  }
  return [...get(to), ...get(value), ...storeCodes[access], ...memoryArgument(offset)];
}

/** Bytes of an instruction, appended to `out`. */
function emit(out: number[], instruction: Instruction, relaxed: boolean): void {
  const push = (bytes: readonly number[]): void => {
    for (const byte of bytes) out.push(byte);
  };
  const all = (body: readonly Instruction[]): void => body.forEach((inner) => emit(out, inner, relaxed));
  switch (instruction.do) {
    case 'constant':
      return push([...constant(instruction.to.kind, instruction.value), ...set(instruction.to)]);
    case 'parameter': {
      const { to, index } = instruction;
      return push([0x20, 0, ...loads[to.kind as 'pointer' | 'i32' | 'f32'](8 * index), ...set(to)]);
    }
    case 'operation':
      return push([
        ...operation(instruction.op, instruction.args, instruction.immediate, relaxed),
        ...set(instruction.to),
      ]);
    case 'load': {
      const { access, to, from, offset, count } = instruction;
      if (count) return push(partialLoad(access as Elements, to, from, offset, count));
      return push([...get(from), ...loads[access](offset), ...set(to)]);
    }
    case 'store': {
      const { access, to, value, offset, count } = instruction;
      return push(
        count ? partialStore(access as Elements, to, value, offset, count) : store(access, to, value, offset),
      );
    }
    case 'loadStrided': {
      const { to, from, offset, stride } = instruction;
      push([...get(from), ...simd(0x5c), ...memoryArgument(offset), ...set(to)]);
      for (const lane of lanes.slice(1))
        push([...get(from), ...get(to), ...simd(0x56), ...memoryArgument(offset + lane * stride), lane, ...set(to)]);
      return;
    }
    case 'storeStrided': {
      const { to, value, offset, stride } = instruction;
      for (const lane of lanes)
        push([...get(to), ...get(value), ...simd(0x5a), ...memoryArgument(offset + lane * stride), lane]);
      return;
    }
    case 'prefetch':
      // no such instruction
      return;
    case 'shuffle': {
      const { to, a, b, lanes: order } = instruction;
      return push([...get(a), ...get(b), ...shuffle(order), ...set(to)]);
    }
    case 'gather':
      return push(gather(instruction.access, instruction.to, instruction.from, instruction.index));
    case 'assign':
      return push([...get(instruction.value), ...set(instruction.to)]);
    case 'loop': {
      const { counter, start, end, step, body } = instruction;
      const again = [...get(counter), ...get(end), 0x48];
      push([...get(start), ...set(counter), ...again, 0x04, 0x40, 0x03, 0x40]);
      all(body);
      push([...get(counter), ...i32(step), 0x6a, ...set(counter), ...again, 0x0d, 0, 0x0b, 0x0b]);
      return;
    }
    case 'while': {
      push([0x02, 0x40, 0x03, 0x40]);
      all(instruction.condition);
      push([...get(instruction.test), 0x45, 0x0d, 1]);
      all(instruction.body);
      push([0x0c, 0, 0x0b, 0x0b]);
      return;
    }
    case 'if': {
      push([...get(instruction.test), 0x04, 0x40]);
      all(instruction.then);
      if (instruction.otherwise.length > 0) push([0x05]);
      all(instruction.otherwise);
      return push([0x0b]);
    }
    default:
      return instruction satisfies never;
  }
}

/**
 * The kernel as a WebAssembly module with vectors of four lanes.
 *
 * `relaxed` uses fused multiply-adds of the relaxed SIMD proposal.
 */
export function renderWasm(kernel: Kernel, options: { readonly relaxed: boolean }): Uint8Array {
  const program = record(kernel, width);
  const body: number[] = [];
  for (const instruction of program.body) emit(body, instruction, options.relaxed);
  return moduleOf(
    program.kinds.slice(4).map((kind) => types[kind]),
    body,
  );
}
