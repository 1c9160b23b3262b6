import { describe, isList } from './describe.js';
import { OptionError } from './errors.js';
import { memoised } from './memo.js';
import { checkValue, list } from './requirements.js';

/** How an element is stored. Arithmetic is f32 (or i32); `f16` and `bf16` are storage. */
export type Dtype = 'f32' | 'f16' | 'bf16' | 'i32' | 'u8';
export const floatDtypes = ['f32', 'f16', 'bf16'] as const;
export type FloatDtype = (typeof floatDtypes)[number];

/** What the host reads: f16 and bf16 are widened. */
export type HostArray = Float32Array | Int32Array | Uint8Array;

export const bytesPerElement: { readonly [D in Dtype]: number } = { f32: 4, f16: 2, bf16: 2, i32: 4, u8: 1 };

export const dtypes = Object.keys(bytesPerElement) as readonly Dtype[];

export const isFloat = (dtype: Dtype): dtype is FloatDtype => dtype === 'f32' || dtype === 'f16' || dtype === 'bf16';

/** @throws OptionError unless `dtype` names a dtype. */
export function checkDtype(who: string, dtype: unknown): asserts dtype is Dtype {
  if (typeof dtype === 'string' && Object.hasOwn(bytesPerElement, dtype)) return;
  throw new OptionError(`${who}: dtype must be one of ${dtypes.join(', ')}; got ${describe(dtype)}.`);
}

const scratch = new Float32Array(1);
const scratchBits = new Uint32Array(scratch.buffer);

function bitsOf(value: number): number {
  scratch[0] = value;
  return scratchBits[0]!;
}
function fromBits(bits: number): number {
  scratchBits[0] = bits;
  return scratch[0]!;
}

/** The f16 nearest to an f32, ties to even, as 16 bits; from 65520 on it is infinite. */
export function toF16(value: number): number {
  const bits = bitsOf(value);
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  if (magnitude >= 0x47800000) return sign | 0x7c00;
  // subnormal in f16: adding 0.5 lines its last bit up with the last bit of an f32, which the addition rounds
  if (magnitude < 0x38800000) return sign | (bitsOf(fromBits(magnitude) + 0.5) - 0x3f000000);
  const even = (magnitude >>> 13) & 1;
  return sign | ((magnitude - 0x38000000 + 0xfff + even) >>> 13);
}

export function fromF16(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >>> 10) & 31;
  const mantissa = half & 0x3ff;
  if (exponent === 31) return mantissa === 0 ? sign * Infinity : NaN;
  return sign * (exponent === 0 ? mantissa * 2 ** -24 : (1 + mantissa / 1024) * 2 ** (exponent - 15));
}

/** The bf16 nearest to an f32, ties to even, as 16 bits. */
export function toBf16(value: number): number {
  const bits = bitsOf(value);
  if ((bits & 0x7fffffff) > 0x7f800000) return (bits >>> 16) | 0x40;
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}

export const fromBf16 = (bits: number): number => fromBits((bits << 16) >>> 0);

/** By the bits of an f16, those of its f32. */
const wideBits = memoised(() => {
  const bits = new Uint32Array(Float32Array.from({ length: 2 ** 16 }, (_, half) => fromF16(half)).buffer);
  // a NaN keeps its sign and payload, as where the device casts it
  const keep = (half: number): number => (((half & 0x8000) << 16) | 0x7f800000 | ((half & 0x3ff) << 13)) >>> 0;
  for (let mantissa = 1; mantissa < 0x400; mantissa++)
    for (const half of [0x7c00 | mantissa, 0xfc00 | mantissa]) bits[half] = keep(half);
  return bits;
});

/** Bits of f16 or bf16 as those of the same numbers in f32, in `into`, which has room for them. */
export function widen(halves: Uint16Array, dtype: 'f16' | 'bf16', into: Uint32Array): void {
  if (dtype === 'bf16') {
    for (let i = 0; i < halves.length; i++) into[i] = halves[i]! << 16;
    return;
  }
  const all = wideBits();
  for (let i = 0; i < halves.length; i++) into[i] = all[halves[i]!]!;
}

/**
 * Host numbers as the bytes of a tensor. Floats round to nearest even; integers must be whole numbers that fit,
 * or an OptionError names the first that does not. A `Uint16Array` for f16 or bf16 is taken as bit patterns.
 */
export function encode(who: string, data: ArrayLike<number>, dtype: Dtype): ArrayBufferView {
  switch (dtype) {
    case 'f32':
      return data instanceof Float32Array ? data : Float32Array.from(data);
    case 'f16':
    case 'bf16':
      if (data instanceof Uint16Array) return data;
      return Uint16Array.from(data, dtype === 'f16' ? toF16 : toBf16);
    case 'i32':
      return data instanceof Int32Array ? data : integers(who, data, dtype, Int32Array, -(2 ** 31), 2 ** 31 - 1);
    case 'u8':
      return data instanceof Uint8Array ? data : integers(who, data, dtype, Uint8Array, 0, 255);
    default:
      return dtype satisfies never;
  }
}

/** @throws OptionError for a list that holds anything but numbers: nested arrays and texts would become NaN. */
export function checkNumbers(who: string, data: ArrayLike<number>): void {
  checkValue(who, 'data', data, list);
  // typed arrays hold nothing else
  if (ArrayBuffer.isView(data)) return;
  for (let i = 0; i < data.length; i++) {
    if (typeof data[i] === 'number') continue;
    const remedy = isList(data[i]) ? ' Flatten it: data is one list in row-major order, beside its shape.' : '';
    throw new OptionError(`${who}: data must be a list of numbers; got ${describe(data[i])} at index ${i}.${remedy}`);
  }
}

function integers<A extends Int32Array | Uint8Array>(
  who: string,
  data: ArrayLike<number>,
  dtype: Dtype,
  Typed: new (length: number) => A,
  low: number,
  high: number,
): A {
  const out = new Typed(data.length);
  for (let i = 0; i < data.length; i++) {
    const value = data[i]!;
    if (!(Number.isInteger(value) && value >= low && value <= high)) {
      throw new OptionError(
        `${who}: ${dtype} data must be whole numbers from ${low} to ${high}; got ${describe(value)} at index ${i}.`,
      );
    }
    out[i] = value;
  }
  return out;
}

/** The bytes of a tensor as host numbers; f16 and bf16 widen to f32. */
export function decode(bytes: Uint8Array, dtype: Dtype): HostArray {
  // a fresh copy starts at offset 0, so every element type may view it
  const { buffer } = bytes.byteOffset === 0 && bytes.buffer instanceof ArrayBuffer ? bytes : bytes.slice();
  const length = bytes.byteLength / bytesPerElement[dtype];
  switch (dtype) {
    case 'f32':
      return new Float32Array(buffer, 0, length);
    case 'f16':
    case 'bf16': {
      const out = new Float32Array(length);
      widen(new Uint16Array(buffer, 0, length), dtype, new Uint32Array(out.buffer));
      return out;
    }
    case 'i32':
      return new Int32Array(buffer, 0, length);
    case 'u8':
      return new Uint8Array(buffer, 0, length);
    default:
      return dtype satisfies never;
  }
}
