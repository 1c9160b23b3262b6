import type { Kind, Operation } from '../program.js';

export const types: Record<Kind, string> = { i32: 'i32', f32: 'f32', pointer: 'u32', vf: 'f32', vi: 'i32' };

const isFloat = (kind: Kind): boolean => kind === 'f32' || kind === 'vf';
const isVector = (kind: Kind): boolean => kind === 'vf' || kind === 'vi';

/** Within a lane: `kind` is that of the last argument. */
type Form = (kind: Kind, args: readonly string[], immediate: number) => string;
/** Operations in which no lane sees another one. */
export type LaneOperation = Exclude<Operation, 'lane' | 'any' | 'reduceAdd' | 'reduceMax' | 'reduceMin'>;

const infix =
  (sign: string): Form =>
  (_, [a, b]) =>
    `${a} ${sign} ${b}`;
const call =
  (name: string): Form =>
  (_, args) =>
    `${name}(${args.join(', ')})`;
const truth = (kind: Kind, condition: string): string => `select(0i, ${isVector(kind) ? '-1i' : '1i'}, ${condition})`;
const compare =
  (sign: string): Form =>
  (kind, [a, b]) =>
    truth(kind, `${a} ${sign} ${b}`);
// a compiler may assume that there is no NaN: a value is compared with itself by its bits
const equal =
  (wanted: boolean): Form =>
  (kind, [a, b]) => {
    const same = isFloat(kind) && a === b ? `(bitcast<u32>(${a}) & 0x7fffffffu) <= 0x7f800000u` : `${a} == ${b}`;
    return truth(kind, wanted ? same : `!(${same})`);
  };

export const forms: Record<LaneOperation, Form> = {
  add: infix('+'),
  // what is not finite less itself is NaN, which a compiler may not know
  sub: (kind, [a, b]) =>
    isFloat(kind) && a === b
      ? `select(0.0f, notANumber(), (bitcast<u32>(${a}) & 0x7f800000u) == 0x7f800000u)`
      : `${a} - ${b}`,
  mul: infix('*'),
  div: infix('/'),
  rem: infix('%'),
  // WGSL's own ignore a NaN on either side
  min: (_, [a, b]) => `select(${a}, ${b}, ${b} < ${a})`,
  max: (_, [a, b]) => `select(${a}, ${b}, ${a} < ${b})`,
  and: infix('&'),
  or: infix('|'),
  xor: infix('^'),
  shl: (_, [a], bits) => `${a} << ${bits}u`,
  shrSigned: (_, [a], bits) => `${a} >> ${bits}u`,
  shrUnsigned: (_, [a], bits) => `bitcast<i32>(bitcast<u32>(${a}) >> ${bits}u)`,
  neg: (_, [a]) => `-${a}`,
  abs: call('abs'),
  sqrt: call('sqrt'),
  floor: call('floor'),
  ceil: call('ceil'),
  nearest: call('round'),
  trunc: call('trunc'),
  lt: compare('<'),
  le: compare('<='),
  gt: compare('>'),
  ge: compare('>='),
  eq: equal(true),
  ne: equal(false),
  fma: call('fma'),
  select: (_, [test, a, b]) => `select(${b}, ${a}, ${test} != 0)`,
  splat: (_, [a]) => a!,
  iota: () => 'i32(lane)',
  toFloat: call('f32'),
  toInt: call('i32'),
  bits: call('bitcast<i32>'),
  fromBits: call('bitcast<f32>'),
  mulHighUnsigned: call('mulHigh'),
  keep: (_, [a]) => a!,
  offset: (_, [p, index, stride]) => `${p} + bitcast<u32>(${index} * ${stride})`,
};

/** The high half of a product of two words, from products of halves. */
export const mulHigh = `fn mulHigh(a: i32, b: i32) -> i32 {
  let x = bitcast<u32>(a);
  let y = bitcast<u32>(b);
  let low = (x & 0xffffu) * (y & 0xffffu);
  let one = (x >> 16u) * (y & 0xffffu) + (low >> 16u);
  let two = (x & 0xffffu) * (y >> 16u) + (one & 0xffffu);
  return bitcast<i32>((x >> 16u) * (y >> 16u) + (one >> 16u) + (two >> 16u));
}`;

/** A literal that WGSL reads back to the same bits. */
export function literal(kind: Kind, value: number): string {
  if (!isFloat(kind)) return `i32(${value})`;
  const float = Math.fround(value);
  if (Number.isNaN(float)) return 'notANumber()';
  if (!Number.isFinite(float)) return float > 0 ? 'infinity()' : '-infinity()';
  // subnormals and the sign of zero are kept by bits only
  if (Math.abs(float) < 1.17549435e-38 && !Object.is(float, 0)) {
    const bits = new Uint32Array(Float32Array.of(float).buffer)[0]!;
    return `bitcast<f32>(0x${bits.toString(16)}u)`;
  }
  const text = String(float);
  return `${/[.e]/.test(text) ? text : `${text}.0`}f`;
}
