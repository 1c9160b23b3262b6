import type { F32, I32, Value, VectorBuilder, VF, VI } from '../../src/codegen/vector.js';
import { generator } from '../support/random.js';

/** An operation of the builder and its meaning in plain JavaScript. Builders are the same for scalars and vectors. */
export interface OperationCase {
  readonly name: string;
  readonly build: (k: VectorBuilder, a: never, b: never, c: never) => Value;
  readonly want: (
    a: number,
    b: number,
    c: number,
    target: { readonly fused: boolean; readonly mask: -1 | 1 },
  ) => number;
  /** Kinds of the operands; default: a scalar and its vector. */
  readonly only?: 'scalar' | 'vector';
  /** Operands for which the result is not specified. */
  readonly unspecified?: (a: number, b: number) => boolean;
}

const view = new DataView(new ArrayBuffer(8));
export function bitsOf(value: number): number {
  view.setFloat32(0, value);
  return view.getInt32(0);
}
export function fromBits(bits: number): number {
  view.setInt32(0, bits);
  return view.getFloat32(0);
}

/** `a·b + c` of f32 numbers, rounded once. */
export function fusedMultiplyAdd(a: number, b: number, c: number): number {
  // exact: two 24-bit factors in 53 bits
  const product = a * b;
  const sum = product + c;
  const part = sum - product;
  const rest = product - (sum - part) + (c - part);
  if (!Number.isFinite(sum) || rest === 0 || Number.isNaN(rest)) return Math.fround(sum);
  // rounded to odd in float64, so that the second rounding sees which side of a tie the exact sum is on
  view.setFloat64(0, sum);
  const bits = view.getBigInt64(0);
  if ((bits & 1n) === 0n) view.setBigInt64(0, rest > 0 === sum > 0 ? bits + 1n : bits - 1n);
  return Math.fround(view.getFloat64(0));
}

const MIN = -(2 ** 31);
const comparisons = {
  lt: (a: number, b: number) => a < b,
  le: (a: number, b: number) => a <= b,
  gt: (a: number, b: number) => a > b,
  ge: (a: number, b: number) => a >= b,
  eq: (a: number, b: number) => a === b,
  ne: (a: number, b: number) => a !== b,
};
const compared = Object.entries(comparisons).map(([name, holds]): OperationCase => ({
  name,
  build: (k, a: VF, b: VF) => k[name as keyof typeof comparisons](a, b),
  want: (a, b, _c, { mask }) => (holds(a, b) ? mask : 0),
}));

/** Half to even. */
function nearest(a: number): number {
  const down = Math.floor(a);
  const even = a - down === 0.5 ? (down % 2 === 0 ? down : down + 1) : Math.round(a);
  return even === 0 && (a < 0 || Object.is(a, -0)) ? -0 : even;
}
const less = (a: number, b: number): number => (b < a ? b : a);
const more = (a: number, b: number): number => (a < b ? b : a);

export const floatCases: readonly OperationCase[] = [
  ...compared,
  { name: 'add', build: (k, a: VF, b: VF) => k.add(a, b), want: (a, b) => a + b },
  { name: 'sub', build: (k, a: VF, b: VF) => k.sub(a, b), want: (a, b) => a - b },
  { name: 'mul', build: (k, a: VF, b: VF) => k.mul(a, b), want: (a, b) => a * b },
  { name: 'div', build: (k, a: VF, b: VF) => k.div(a, b), want: (a, b) => a / b },
  { name: 'min', build: (k, a: VF, b: VF) => k.min(a, b), want: less },
  { name: 'max', build: (k, a: VF, b: VF) => k.max(a, b), want: more },
  { name: 'neg', build: (k, a: VF) => k.neg(a), want: (a) => -a },
  { name: 'keep', only: 'vector', build: (k, a: VF) => k.keep(a), want: (a) => a },
  { name: 'abs', build: (k, a: VF) => k.abs(a), want: Math.abs },
  { name: 'sqrt', build: (k, a: VF) => k.sqrt(a), want: Math.sqrt },
  { name: 'floor', build: (k, a: VF) => k.floor(a), want: Math.floor },
  { name: 'ceil', build: (k, a: VF) => k.ceil(a), want: Math.ceil },
  { name: 'trunc', build: (k, a: VF) => k.trunc(a), want: Math.trunc },
  { name: 'nearest', build: (k, a: VF) => k.nearest(a), want: nearest },
  {
    name: 'fma',
    // not a·b, which `mul` stores: GCC fuses a product only where all its uses can be
    build: (k, a: VF, b: VF, c: VF) => k.fma(a, c, b),
    want: (a, b, c, { fused }) => (fused ? fusedMultiplyAdd(a, c, b) : Math.fround(a * c) + b),
  },
  { name: 'add 0.1', build: (k, a: VF) => k.add(a, 0.1), want: (a) => a + Math.fround(0.1) },
  { name: 'max -Infinity', build: (k, a: VF) => k.max(a, -Infinity), want: (a) => more(a, -Infinity) },
  {
    name: 'select',
    build: (k, a: VF, b: VF, c: VF) => k.select(k.lt(a, b), b, c),
    want: (a, b, c) => (a < b ? b : c),
  },
  { name: 'select NaN', build: (k, a: VF, b: VF) => k.select(k.ge(a, b), a, NaN), want: (a, b) => (a >= b ? a : NaN) },
  {
    name: 'toInt',
    build: (k, a: VF) => k.toInt(a),
    want: Math.trunc,
    unspecified: (a) => !(a >= MIN && a < -MIN),
  },
  { name: 'bits', build: (k, a: VF) => k.bits(a), want: bitsOf },
  { name: 'bits fromBits', build: (k, a: VF) => k.fromBits(k.xor(k.bits(a), 1)), want: (a) => fromBits(bitsOf(a) ^ 1) },
];

const bothWays = [0, 1, 7, 16, 31].flatMap((bits): OperationCase[] => [
  { name: `shl ${bits}`, build: (k, a: VI) => k.shl(a, bits), want: (a) => a << bits },
  { name: `shrSigned ${bits}`, build: (k, a: VI) => k.shrSigned(a, bits), want: (a) => a >> bits },
  { name: `shrUnsigned ${bits}`, build: (k, a: VI) => k.shrUnsigned(a, bits), want: (a) => (a >>> bits) | 0 },
]);
/** Where a division of integers is defined. */
const divisor = (a: number, b: number): number => (b === 0 || (a === MIN && b === -1) ? 1 : b);
const definedDivisor = (k: VectorBuilder, a: I32, b: I32): I32 =>
  k.select(k.or(k.eq(b, 0), k.and(k.eq(a, MIN), k.eq(b, -1))), k.constant('i32', 1), b);

export const integerCases: readonly OperationCase[] = [
  ...compared,
  ...bothWays,
  { name: 'add', build: (k, a: VI, b: VI) => k.add(a, b), want: (a, b) => (a + b) | 0 },
  { name: 'sub', build: (k, a: VI, b: VI) => k.sub(a, b), want: (a, b) => (a - b) | 0 },
  { name: 'mul', build: (k, a: VI, b: VI) => k.mul(a, b), want: Math.imul },
  { name: 'min', build: (k, a: VI, b: VI) => k.min(a, b), want: less },
  { name: 'max', build: (k, a: VI, b: VI) => k.max(a, b), want: more },
  { name: 'and', build: (k, a: VI, b: VI) => k.and(a, b), want: (a, b) => a & b },
  { name: 'or', build: (k, a: VI, b: VI) => k.or(a, b), want: (a, b) => a | b },
  { name: 'xor', build: (k, a: VI, b: VI) => k.xor(a, b), want: (a, b) => a ^ b },
  { name: 'and -4', build: (k, a: VI) => k.and(a, -4), want: (a) => a & -4 },
  {
    name: 'div',
    build: (k, a: I32, b: I32) => k.div(a, definedDivisor(k, a, b)),
    want: (a, b) => Math.trunc(a / divisor(a, b)),
    only: 'scalar',
  },
  {
    name: 'rem',
    build: (k, a: I32, b: I32) => k.rem(a, definedDivisor(k, a, b)),
    want: (a, b) => a % divisor(a, b),
    only: 'scalar',
  },
  { name: 'div 7', build: (k, a: I32) => k.div(a, 7), want: (a) => Math.trunc(a / 7), only: 'scalar' },
  {
    name: 'mulHighUnsigned',
    build: (k, a: VI, b: VI) => k.mulHighUnsigned(a, b),
    want: (a, b) => Number((BigInt(a >>> 0) * BigInt(b >>> 0)) >> 32n) | 0,
    only: 'vector',
  },
  {
    name: 'select',
    build: (k, a: VI, b: VI, c: VI) => k.select(k.lt(a, b), b, c),
    want: (a, b, c) => (a < b ? b : c),
  },
  {
    name: 'select by a number',
    build: (k, a: I32, b: I32, c: I32) => k.select(a, b, c),
    want: (a, b, c) => (a === 0 ? c : b),
    only: 'scalar',
  },
  { name: 'toFloat', build: (k, a: VI) => k.toFloat(a), want: (a) => a },
  { name: 'fromBits', build: (k, a: VI) => k.fromBits(a), want: fromBits },
];

/** Results are floats, integers, or bits of a float that must come back as they are. */
export type ResultKind = 'f32' | 'i32';
export const resultOf = (value: Value): ResultKind => (value.kind === 'f32' || value.kind === 'vf' ? 'f32' : 'i32');

const specialFloats = [
  NaN,
  0,
  -0,
  Infinity,
  -Infinity,
  1e-45,
  -1e-45,
  1.1754942e-38,
  1.17549435e-38,
  -1.17549435e-38,
  3.4028235e38,
  -3.4028235e38,
  1,
  -1,
  0.5,
  -0.5,
  1.5,
  -1.5,
  2.5,
  -2.5,
  0.49999997,
  -0.49999997,
  1.0000001,
  4194304.5,
  8388607.5,
  -8388607.5,
  16777216,
  2147483520,
  2147483648,
  -2147483648,
  1e-20,
  3e20,
];
const specialIntegers = [
  0,
  1,
  -1,
  2,
  -2,
  3,
  255,
  256,
  -256,
  65535,
  65536,
  0x55555555,
  0x7f800000,
  16777217,
  -16777217,
  MIN,
  MIN + 1,
  -MIN - 1,
];

/** All pairs of special values, then random ones; as many as `length`. */
function operands(
  special: readonly number[],
  length: number,
  draw: () => number,
): readonly [number[], number[], number[]] {
  const [a, b, c]: [number[], number[], number[]] = [[], [], []];
  for (let i = 0; i < length; i++) {
    const pair = i < special.length ** 2;
    a.push(pair ? special[Math.floor(i / special.length)]! : draw());
    b.push(pair ? special[i % special.length]! : draw());
    c.push(i % 2 === 0 ? special[(7 * i) % special.length]! : draw());
  }
  return [a, b, c];
}

export const COUNT = 1536;
const next = generator(11);
const word = (): number => (next() * 2 ** 32) | 0;
const someFloat = (): number => {
  const value = fromBits(word());
  // a third of all near 1, where sums cancel; and no NaN beyond the special one, whose bits travel unchanged
  return Number.isNaN(value) || next() < 0.3 ? (next() - 0.5) * 4 : value;
};
const floats = operands(specialFloats, COUNT, someFloat).map((list) => Float32Array.from(list)) as [
  Float32Array,
  Float32Array,
  Float32Array,
];
// products nearly cancelled by their addend: only a single rounding keeps what is left
for (let i = specialFloats.length ** 2; i < COUNT; i += 3) floats[1][i] = -floats[0][i]! * floats[2][i]!;
const integers = operands(specialIntegers, COUNT, () => word() >> (next() * 31)).map((list) =>
  Int32Array.from(list),
) as [Int32Array, Int32Array, Int32Array];
export const operandsOf = { f32: floats, i32: integers } as const;

/** Literals that a renderer must write so that the same bits are read back. */
export const floatLiterals: readonly number[] = [
  ...specialFloats,
  0.1,
  -1 / 3,
  1e-50,
  -1e-50,
  1e39,
  -1e39,
  16777217,
  1e21,
  2 ** -149,
];
export const integerLiterals: readonly number[] = [...specialIntegers, 1e6, -123456789];

export type { F32 };
