import { encode, type Dtype } from '../../core/dtype.js';
import { describe } from '../../core/describe.js';
import { CapabilityError, NumericsError } from '../../core/errors.js';
import { checkValue, made, text } from '../../core/requirements.js';
import { commonDevice, type Tensor } from '../../tensor/index.js';
import type { TensorSource } from './write-safetensors.js';

/** A tensor as it is to be stored; its bits are fetched from the device when they are written. */
export function sourceOf(tensor: Tensor): TensorSource {
  commonDevice('sourceOf', [tensor]);
  const { dtype, shape } = tensor;
  return { dtype, shape, bytes: () => tensor.device.read(tensor.buffer, 0, tensor.byteLength) };
}

/** What `tensor(data, shape, { dtype })` takes over. */
export interface HostTensor {
  readonly data: Float32Array | Uint16Array | Int32Array | Uint8Array;
  readonly dtype: Dtype;
}

type Reading = (who: string, bytes: ArrayBuffer) => HostTensor;

const whole =
  (numbers: (bytes: ArrayBuffer) => Iterable<number>): Reading =>
  (who, bytes) => ({ data: encode(who, Float64Array.from(numbers(bytes)), 'i32') as Int32Array, dtype: 'i32' });

/** Those of this library bit by bit, the others as the nearest that it has. */
const readings: Readonly<Record<string, Reading>> = {
  f32: (_, bytes) => ({ data: new Float32Array(bytes), dtype: 'f32' }),
  f16: (_, bytes) => ({ data: new Uint16Array(bytes), dtype: 'f16' }),
  bf16: (_, bytes) => ({ data: new Uint16Array(bytes), dtype: 'bf16' }),
  i32: (_, bytes) => ({ data: new Int32Array(bytes), dtype: 'i32' }),
  u8: (_, bytes) => ({ data: new Uint8Array(bytes), dtype: 'u8' }),
  bool: (_, bytes) => ({ data: new Uint8Array(bytes), dtype: 'u8' }),
  f64: rounded,
  i8: whole((bytes) => new Int8Array(bytes)),
  i16: whole((bytes) => new Int16Array(bytes)),
  u16: whole((bytes) => new Uint16Array(bytes)),
  u32: whole((bytes) => new Uint32Array(bytes)),
  i64: whole((bytes) => Array.from(new BigInt64Array(bytes), Number)),
  u64: whole((bytes) => Array.from(new BigUint64Array(bytes), Number)),
};

/** Each number as the nearest f32. */
function rounded(who: string, bytes: ArrayBuffer): HostTensor {
  const numbers = new Float64Array(bytes);
  const data = Float32Array.from(numbers);
  const lost = data.findIndex((x, i) => Math.abs(x) === Infinity && Math.abs(numbers[i]!) !== Infinity);
  if (lost < 0) return { data, dtype: 'f32' };
  throw new NumericsError(`${who}: element ${lost}, ${numbers[lost]}, is beyond the range of f32.`);
}

/**
 * The bytes of `Safetensors.read` as host numbers. Dtypes of this library come back bit by bit; `f64` becomes the nearest f32, `bool`
 * u8, other integers i32.
 *
 * @throws CapabilityError for any other dtype; NumericsError for an f64, OptionError for an integer, that does not fit.
 */
export function hostTensor(who: string, bytes: Uint8Array<ArrayBuffer>, dtype: string): HostTensor {
  checkValue('hostTensor', 'who', who, text);
  checkValue(who, 'bytes', bytes, made('a Uint8Array', Uint8Array));
  const reading = typeof dtype === 'string' && Object.hasOwn(readings, dtype) ? readings[dtype] : undefined;
  if (reading === undefined) {
    throw new CapabilityError(
      `${who}: is of dtype ${describe(dtype)}; those that can be read are ${Object.keys(readings).join(', ')}. Leave it out, or store it as one of them.`,
    );
  }
  // a fresh copy starts at a multiple of every element
  const own = bytes.byteOffset === 0 && bytes.buffer.byteLength === bytes.byteLength ? bytes : bytes.slice();
  return reading(who, own.buffer);
}
