import type { Device } from '../devices/device.js';
import { disposeAll, tensor, type Tensor } from '../tensor/index.js';
import { hostArray, type Safetensors } from './checkpoint/index.js';

/**
 * The tensors of a file whose names begin with `prefix`, by the rest of their names, bit by bit. They are in no scope of this
 * function: the caller disposes of them.
 */
export async function readTensors(file: Safetensors, prefix: string, device: Device): Promise<Map<string, Tensor>> {
  const tensors = new Map<string, Tensor>();
  try {
    for (const [name, { dtype, shape }] of file.entries) {
      if (!name.startsWith(prefix)) continue;
      const data = hostArray(await file.read(name), dtype);
      tensors.set(name.slice(prefix.length), tensor(data, shape, { device, dtype }));
    }
    return tensors;
  } catch (error) {
    disposeAll(tensors);
    throw error;
  }
}
