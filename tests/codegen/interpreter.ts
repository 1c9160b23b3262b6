import type { Access, Instruction, Program, Value } from '../../src/codegen/program.js';
import { fusedMultiplyAdd } from './vector-cases.js';

/** A scalar, a pointer, or the lanes of a vector. */
type Held = number | number[];
type Scalar = (a: number, b: number, c: number) => number;

export interface Interpretation {
  readonly width: number;
  /** All that pointers may reach; addresses are from its start. */
  readonly memory: ArrayBuffer;
  /** Arguments by position: numbers, or addresses. */
  readonly args: readonly number[];
  readonly scratch: number;
  readonly begin: number;
  readonly end: number;
  /** Whether a multiply-add is rounded once. */
  readonly fused: boolean;
}

const word = new DataView(new ArrayBuffer(4));
const bitsOf = (x: number): number => (word.setFloat32(0, x), word.getInt32(0));
const floatOf = (bits: number): number => (word.setInt32(0, bits), word.getFloat32(0));
const nearest = (a: number): number => {
  const down = Math.floor(a);
  const even = a - down === 0.5 ? (down % 2 === 0 ? down : down + 1) : Math.round(a);
  return even === 0 && (a < 0 || Object.is(a, -0)) ? -0 : even;
};

const floats: Readonly<Record<string, Scalar>> = {
  add: (a, b) => Math.fround(a + b),
  sub: (a, b) => Math.fround(a - b),
  mul: (a, b) => Math.fround(a * b),
  div: (a, b) => Math.fround(a / b),
  neg: (a) => -a,
  abs: Math.abs,
  sqrt: (a) => Math.fround(Math.sqrt(a)),
  floor: Math.floor,
  ceil: Math.ceil,
  trunc: Math.trunc,
  nearest,
  toInt: (a) => Math.max(-(2 ** 31), Math.min(2 ** 31 - 1, Math.trunc(a))) | 0,
  bits: bitsOf,
};
const integers: Readonly<Record<string, Scalar>> = {
  add: (a, b) => (a + b) | 0,
  sub: (a, b) => (a - b) | 0,
  mul: Math.imul,
  div: (a, b) => (a / b) | 0,
  rem: (a, b) => (a % b) | 0,
  and: (a, b) => a & b,
  or: (a, b) => a | b,
  xor: (a, b) => a ^ b,
  toFloat: Math.fround,
  fromBits: floatOf,
  mulHighUnsigned: (a, b) => Number((BigInt(a >>> 0) * BigInt(b >>> 0)) >> 32n) | 0,
};
const both: Readonly<Record<string, Scalar>> = {
  min: (a, b) => (b < a ? b : a),
  max: (a, b) => (a < b ? b : a),
  select: (test, a, b) => (test !== 0 ? a : b),
  splat: (a) => a,
  keep: (a) => a,
};
const comparisons: Readonly<Record<string, (a: number, b: number) => boolean>> = {
  lt: (a, b) => a < b,
  le: (a, b) => a <= b,
  gt: (a, b) => a > b,
  ge: (a, b) => a >= b,
  eq: (a, b) => a === b,
  ne: (a, b) => a !== b,
};
const shifts: Readonly<Record<string, (a: number, bits: number) => number>> = {
  shl: (a, bits) => a << bits,
  shrSigned: (a, bits) => a >> bits,
  shrUnsigned: (a, bits) => (a >>> bits) | 0,
};

/** Does what a recorded program says, one instruction after the other, in plain numbers. */
export function interpret(program: Program, run: Interpretation): void {
  const { width, args, fused } = run;
  const memory = new DataView(run.memory);
  const held = new Map<number, Held>([
    [1, run.scratch],
    [2, run.begin],
    [3, run.end],
  ]);
  const lanes = Array.from({ length: width }, (_, i) => i);
  const of = (value: Value): Held => held.get(value.id)!;
  const scalar = (value: Value): number => of(value) as number;
  const vector = (value: Value): readonly number[] => of(value) as number[];
  const isVector = (value: Value): boolean => value.kind === 'vf' || value.kind === 'vi';
  const isFloat = (value: Value): boolean => value.kind === 'vf' || value.kind === 'f32';

  const element: Readonly<
    Record<Access, { readonly bytes: number; read(at: number): number; write(at: number, x: number): void }>
  > = (() => {
    const f32 = {
      bytes: 4,
      read: (at: number) => memory.getFloat32(at, true),
      write: (at: number, x: number) => memory.setFloat32(at, x, true),
    };
    const i32 = {
      bytes: 4,
      read: (at: number) => memory.getInt32(at, true),
      write: (at: number, x: number) => memory.setInt32(at, x, true),
    };
    const u8 = {
      bytes: 1,
      read: (at: number) => memory.getUint8(at),
      write: (at: number, x: number) => memory.setUint8(at, x),
    };
    const u16 = {
      bytes: 2,
      read: (at: number) => memory.getUint16(at, true),
      write: (at: number, x: number) => memory.setUint16(at, x, true),
    };
    return { f32, i32, u8, u16, vf: f32, vi: i32, splat: f32, vu8: u8, vu16: u16, pointer: { ...i32, bytes: 8 } };
  })();

  const operate = (op: string, to: Value, operands: readonly Value[], immediate: number): Held => {
    const first = operands[0];
    switch (op) {
      case 'iota':
        return lanes;
      case 'lane':
        return vector(first!)[immediate]!;
      case 'any':
        return vector(first!).some((x) => x !== 0) ? 1 : 0;
      case 'reduceAdd':
      case 'reduceMax':
      case 'reduceMin': {
        const combine = op === 'reduceAdd' ? floats['add']! : op === 'reduceMax' ? both['max']! : both['min']!;
        const values = [...vector(first!)];
        for (let half = width / 2; half >= 1; half /= 2)
          for (let i = 0; i < half; i++) values[i] = combine(values[i]!, values[i + half]!, 0);
        return values[0]!;
      }
      case 'offset':
        return scalar(first!) + scalar(operands[1]!) * scalar(operands[2]!);
      default: {
        const one: Scalar = (a, b, c) => {
          if (op in comparisons) return comparisons[op]!(a, b) ? (isVector(to) ? -1 : 1) : 0;
          if (op in shifts) return shifts[op]!(a, immediate);
          if (op === 'fma') return fused ? fusedMultiplyAdd(a, b, c) : Math.fround(Math.fround(a * b) + c);
          return (both[op] ?? (isFloat(operands.at(-1)!) ? floats : integers)[op]!)(a, b, c);
        };
        const at = (value: Value | undefined, lane: number): number =>
          value === undefined ? 0 : isVector(value) ? vector(value)[lane]! : scalar(value);
        const [a, b, c] = operands;
        return isVector(to)
          ? lanes.map((lane) => one(at(a, lane), at(b, lane), at(c, lane)))
          : one(at(a, 0), at(b, 0), at(c, 0));
      }
    }
  };

  const store = (access: Access, at: number, stride: number, value: Value, count: number): void => {
    const { write } = element[access];
    if (isVector(value))
      for (const lane of lanes.slice(0, Math.max(0, count))) write(at + stride * lane, vector(value)[lane]!);
    else write(at, scalar(value));
  };
  const load = (access: Access, at: number, stride: number, to: Value, count: number): Held => {
    const { read } = element[access];
    if (access === 'splat') return lanes.map(() => read(at));
    return isVector(to) ? lanes.map((lane) => (lane < count ? read(at + stride * lane) : 0)) : read(at);
  };
  const rounded = (value: Value, x: number): Held => {
    const one = isFloat(value) ? Math.fround(x) : x;
    return isVector(value) ? lanes.map(() => one) : one;
  };

  const step = (instruction: Instruction): void => {
    switch (instruction.do) {
      case 'constant':
        held.set(instruction.to.id, rounded(instruction.to, instruction.value));
        return;
      case 'parameter':
        held.set(instruction.to.id, rounded(instruction.to, args[instruction.index]!));
        return;
      case 'operation':
        held.set(instruction.to.id, operate(instruction.op, instruction.to, instruction.args, instruction.immediate));
        return;
      case 'load': {
        const { access, to, from, offset, count } = instruction;
        held.set(to.id, load(access, scalar(from) + offset, element[access].bytes, to, count ? scalar(count) : width));
        return;
      }
      case 'store': {
        const { access, to, value, offset, count } = instruction;
        store(access, scalar(to) + offset, element[access].bytes, value, count ? scalar(count) : width);
        return;
      }
      case 'loadStrided':
        held.set(
          instruction.to.id,
          load('vf', scalar(instruction.from) + instruction.offset, instruction.stride, instruction.to, width),
        );
        return;
      case 'storeStrided':
        store('vf', scalar(instruction.to) + instruction.offset, instruction.stride, instruction.value, width);
        return;
      case 'prefetch':
        return;
      case 'shuffle': {
        const all = [...vector(instruction.a), ...vector(instruction.b)];
        held.set(
          instruction.to.id,
          instruction.lanes.map((lane) => all[lane]!),
        );
        return;
      }
      case 'gather': {
        const { access, to, from, index } = instruction;
        const { bytes, read } = element[access];
        held.set(
          to.id,
          vector(index).map((i) => read(scalar(from) + bytes * i)),
        );
        return;
      }
      case 'assign':
        held.set(instruction.to.id, of(instruction.value));
        return;
      case 'loop': {
        const end = scalar(instruction.end);
        for (let i = scalar(instruction.start); i < end; i += instruction.step) {
          held.set(instruction.counter.id, i);
          instruction.body.forEach(step);
        }
        return;
      }
      case 'while':
        for (;;) {
          instruction.condition.forEach(step);
          if (scalar(instruction.test) === 0) return;
          instruction.body.forEach(step);
        }
      case 'if':
        (scalar(instruction.test) !== 0 ? instruction.then : instruction.otherwise).forEach(step);
        return;
      default:
        instruction satisfies never;
    }
  };
  program.body.forEach(step);
}
