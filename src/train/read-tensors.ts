import { CapabilityError, OptionError } from '../core/errors.js';
import { callable, checkValue, checkValues, type Requirement } from '../core/requirements.js';
import { show } from '../core/shape.js';
import type { Device } from '../devices/device.js';
import { disposeAll, someDevice, tensor, type Tensor } from '../tensor/index.js';
import { Safetensors } from './checkpoint/safetensors.js';
import { hostTensor } from './checkpoint/tensors.js';

export interface ReadTensorsOptions {
  readonly device: Device;
  /** What a tensor is to be called, or undefined: it is not read. Default: all, by their names. */
  readonly names?: ((name: string) => string | undefined) | undefined;
}

const someFile: Requirement = {
  must: 'a file, as Safetensors.open opens',
  holds: (value) => value instanceof Safetensors,
};

/** For `names`: those that begin with a prefix, by the rest. */
export const after =
  (prefix: string) =>
  (name: string): string | undefined =>
    name.startsWith(prefix) ? name.slice(prefix.length) : undefined;

/**
 * The tensors of a file by name, such as `load` of a module takes. What this library stores comes back bit by bit; `f64` becomes
 * the nearest f32, `bool` u8, other integers i32. They are in no scope of this function: the caller disposes of them.
 *
 * @throws OptionError for two tensors that `names` calls the same; CapabilityError naming a tensor that is empty or of a
 * dtype without a counterpart, which `names` may leave out; NumericsError or OptionError naming one with a number that does not fit.
 */
export async function readTensors(file: Safetensors, options: ReadTensorsOptions): Promise<Map<string, Tensor>> {
  checkValue('readTensors', 'file', file, someFile);
  checkValues('readTensors', options, { device: someDevice, names: callable }, ['device']);
  const { device, names = (name) => name } = options;
  const tensors = new Map<string, Tensor>();
  try {
    for (const [stored, { dtype: storedDtype, shape }] of file.entries) {
      const name = names(stored);
      if (name === undefined) continue;
      const who = `readTensors: tensor ${JSON.stringify(stored)} of "${file.name}"`;
      if (tensors.has(name))
        throw new OptionError(`${who}: the name ${JSON.stringify(name)} is taken; name it otherwise.`);
      if (shape.includes(0)) throw new CapabilityError(`${who}: ${show(shape)} holds no number; leave it out.`);
      const { data, dtype } = hostTensor(who, await file.read(stored), storedDtype);
      tensors.set(name, tensor(data, shape, { device, dtype }));
    }
    return tensors;
  } catch (error) {
    disposeAll(tensors);
    throw error;
  }
}
