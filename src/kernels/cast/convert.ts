import type { F32, I32, Pointer, VectorBuilder, VF, VI } from '../../codegen/vector.js';
import type { Dtype } from '../../core/dtype.js';

// One definition of each storage format for every kernel: load widens to f32, store rounds to nearest even.

/** 16 bits of an f16 in each lane, as f32. */
export function fromF16(k: VectorBuilder, half: VI): VF {
  const magnitude = k.and(half, 0x7fff);
  const sign = k.shl(k.and(half, 0x8000), 16);
  // exponent and mantissa in place of an f32's, and the bias mended. No f32 on the way is subnormal: GPUs take those for 0
  const shifted = k.shl(magnitude, 13);
  const normal = k.add(shifted, 112 << 23);
  const small = k.bits(k.sub(k.fromBits(k.add(shifted, 113 << 23)), 2 ** -14));
  const finite = k.select(k.lt(magnitude, 0x400), small, normal);
  const infinite = k.or(shifted, 0x7f800000);
  return k.fromBits(k.or(sign, k.select(k.ge(magnitude, 0x7c00), infinite, finite)));
}

/** f32 to the 16 bits of the nearest f16, ties to even. */
export function toF16(k: VectorBuilder, value: VF): VI {
  const bits = k.bits(value);
  const magnitude = k.and(bits, 0x7fffffff);
  const sign = k.shrUnsigned(k.and(bits, k.constant('vi', -0x80000000)), 16);
  // adding 0.5 lines the last bit of a subnormal f16 up with the last bit of an f32, which the addition rounds
  const small = k.sub(k.bits(k.add(k.fromBits(magnitude), 0.5)), 0x3f000000);
  const odd = k.and(k.shrUnsigned(magnitude, 13), 1);
  const normal = k.shrUnsigned(k.add(k.add(magnitude, 0xfff - 0x38000000), odd), 13);
  const special = k.select(k.gt(magnitude, 0x7f800000), k.constant('vi', 0x7e00), 0x7c00);
  const finite = k.select(k.lt(magnitude, 0x38800000), small, normal);
  return k.or(sign, k.select(k.ge(magnitude, 0x47800000), special, finite));
}

export function fromBf16(k: VectorBuilder, bits: VI): VF {
  return k.fromBits(k.shl(bits, 16));
}

/** f32 to the 16 bits of the nearest bf16, ties to even. */
export function toBf16(k: VectorBuilder, value: VF): VI {
  const bits = k.bits(value);
  const high = k.shrUnsigned(bits, 16);
  const rounded = k.shrUnsigned(k.add(k.add(bits, 0x7fff), k.and(high, 1)), 16);
  return k.select(k.gt(k.and(bits, 0x7fffffff), 0x7f800000), k.or(high, 0x40), rounded);
}

/** f32 to i32 towards zero; NaN gives 0, values beyond 32 bits the nearest i32. */
export function toI32(k: VectorBuilder, value: VF): VI {
  const large = k.ge(value, 2 ** 31);
  // bounds compare false with NaN, so a NaN becomes 0 before it is converted
  const inside = k.and(k.ge(value, -(2 ** 31)), k.lt(value, 2 ** 31));
  const whole = k.toInt(k.select(inside, value, 0));
  const outside = k.select(
    large,
    k.constant('vi', 2 ** 31 - 1),
    k.select(k.lt(value, 0), k.constant('vi', -(2 ** 31)), 0),
  );
  return k.select(inside, whole, outside);
}

/** `width` elements from `pointer`, as stored: f32 for floats, i32 for integers. */
export function loadLanes(k: VectorBuilder, dtype: Dtype, pointer: Pointer, offset = 0, count?: I32): VF | VI {
  switch (dtype) {
    case 'f32':
      return k.loadVF(pointer, offset, count);
    case 'f16':
      return fromF16(k, k.loadVU16(pointer, offset, count));
    case 'bf16':
      return fromBf16(k, k.loadVU16(pointer, offset, count));
    case 'i32':
      return k.loadVI(pointer, offset, count);
    case 'u8':
      return k.loadVU8(pointer, offset, count);
    default:
      return dtype satisfies never;
  }
}

/** One element in all lanes. */
export function loadSplat(k: VectorBuilder, dtype: Dtype, pointer: Pointer, offset = 0): VF | VI {
  switch (dtype) {
    case 'f32':
      return k.loadSplat(pointer, offset);
    case 'f16':
      return fromF16(k, k.splat(k.loadU16(pointer, offset)));
    case 'bf16':
      return fromBf16(k, k.splat(k.loadU16(pointer, offset)));
    case 'i32':
      return k.splat(k.loadI32(pointer, offset));
    case 'u8':
      return k.splat(k.loadU8(pointer, offset));
    default:
      return dtype satisfies never;
  }
}

/** Lanes as f32: integers are converted. */
export const asFloat = (k: VectorBuilder, value: VF | VI): VF => (value.kind === 'vf' ? value : k.toFloat(value));

/** `width` elements as f32. */
export function loadFloats(k: VectorBuilder, dtype: Dtype, pointer: Pointer, offset = 0, count?: I32): VF {
  return asFloat(k, loadLanes(k, dtype, pointer, offset, count));
}

/** Stores lanes as `dtype`: floats round to nearest even, floats to integers go towards zero, u8 saturates. */
export function storeLanes(
  k: VectorBuilder,
  dtype: Dtype,
  pointer: Pointer,
  value: VF | VI,
  offset = 0,
  count?: I32,
): void {
  const integer = (): VI => (value.kind === 'vi' ? value : toI32(k, value));
  switch (dtype) {
    case 'f32':
      return k.store(pointer, asFloat(k, value), offset, count);
    case 'f16':
      return k.storeVU16(pointer, toF16(k, asFloat(k, value)), offset, count);
    case 'bf16':
      return k.storeVU16(pointer, toBf16(k, asFloat(k, value)), offset, count);
    case 'i32':
      return k.store(pointer, integer(), offset, count);
    case 'u8':
      return k.storeVU8(pointer, k.min(k.max(integer(), 0), 255), offset, count);
    default:
      return dtype satisfies never;
  }
}

/** One scalar stored as `dtype`. */
export function storeScalar(k: VectorBuilder, dtype: Dtype, pointer: Pointer, value: F32): void {
  if (dtype === 'f32') return k.store(pointer, value);
  storeLanes(k, dtype, pointer, k.splat(value), 0, k.constant('i32', 1));
}
