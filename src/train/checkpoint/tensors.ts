import type { Dtype } from '../../core/dtype.js';
import type { Tensor } from '../../tensor/index.js';
import type { TensorSource } from './safetensors.js';

/** A tensor as it is to be stored; its bits are fetched from the device when they are written. */
export function sourceOf(tensor: Tensor): TensorSource {
  const { dtype, shape } = tensor;
  return { dtype, shape, bytes: () => tensor.device.read(tensor.buffer, 0, tensor.byteLength) };
}

/** Bytes of `Safetensors.read` as what `tensor(data, shape, { dtype })` takes over bit by bit. */
export function hostArray(bytes: Uint8Array, dtype: Dtype): Float32Array | Uint16Array | Int32Array | Uint8Array {
  // a fresh copy starts at a multiple of every element
  const { buffer } = bytes.byteOffset === 0 && bytes.buffer.byteLength === bytes.byteLength ? bytes : bytes.slice();
  switch (dtype) {
    case 'f32':
      return new Float32Array(buffer);
    case 'f16':
    case 'bf16':
      return new Uint16Array(buffer);
    case 'i32':
      return new Int32Array(buffer);
    case 'u8':
      return new Uint8Array(buffer);
    default:
      return dtype satisfies never;
  }
}
