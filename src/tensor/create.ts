import { variable } from '../codegen/expression/index.js';
import { checkNumbers, dtypes, encode, isFloat, type Dtype } from '../core/dtype.js';
import { OptionError, ShapeError } from '../core/errors.js';
import {
  checkValue,
  checkValues,
  flag,
  oneOf,
  someNumber,
  type Requirement,
  type Requirements,
} from '../core/requirements.js';
import { checkShape, show, sizeOf } from '../core/shape.js';
import type { Device } from '../devices/device.js';
import { categories, type Category } from '../devices/ledger.js';
import { runElementwise } from './elementwise.js';
import { noteIntegers } from './integers.js';
import { scope } from './scope.js';
import { empty, trackLeaf, writable, type Tensor } from './tensor.js';

export interface TensorOptions {
  /** Default: the device given to `useDevice`. */
  readonly device?: Device;
  readonly dtype?: Dtype;
  /** Whether gradients flow to the tensor; default false. */
  readonly requiresGradient?: boolean;
  /** What its bytes are held for, in the ledger; default `'tensor'`. */
  readonly category?: Category;
}

/** What `createDevice` makes, or anything else that can hold numbers and run kernels. */
export const someDevice: Requirement = {
  must: 'a device, as createDevice makes',
  holds: (value) =>
    typeof value === 'object' && value !== null && typeof (value as Partial<Device>).allocate === 'function',
};
const requirements: Requirements = {
  device: someDevice,
  dtype: oneOf(dtypes),
  requiresGradient: flag,
  category: oneOf(categories),
};

let defaultDevice: Device | undefined;

/** Sets the device of tensors created without one; `undefined` unsets it. Returns the device that was set before. */
export function useDevice(device: Device | undefined): Device | undefined {
  if (device !== undefined) checkValue('useDevice', 'device', device, someDevice);
  const before = defaultDevice;
  defaultDevice = device;
  return before;
}

function resolve(who: string, shape: readonly number[], options: TensorOptions, dtype: Dtype): Required<TensorOptions> {
  checkValues(who, options, requirements);
  checkShape(who, shape);
  const device = options.device ?? defaultDevice;
  if (device === undefined) {
    throw new OptionError(`${who}: no device; pass { device }, or call useDevice(await createDevice()) first.`);
  }
  const kind = options.dtype ?? dtype;
  if (options.requiresGradient === true && !isFloat(kind)) {
    throw new OptionError(`${who}: gradients need dtype f32, f16 or bf16; got ${kind}.`);
  }
  const { requiresGradient = false, category = 'tensor' } = options;
  return { requiresGradient, category, dtype: kind, device };
}

/** f32 unless the array says otherwise. */
function dtypeOf(data: ArrayLike<number>): Dtype {
  if (data instanceof Int32Array) return 'i32';
  return data instanceof Uint8Array ? 'u8' : 'f32';
}

/**
 * A tensor of the given numbers in row-major order. The dtype defaults to that of a typed array, and to f32. Floats
 * round to the nearest value of the dtype; a `Uint16Array` with dtype f16 or bf16 is taken as bit patterns.
 *
 * @throws ShapeError when the shape does not hold the numbers, or has an extent that is not a whole number of at least 1.
 * @throws OptionError for an unknown option or dtype, numbers an integer dtype does not hold, or gradients of integers.
 *
 * @example
 * const x = tensor([1, 2, 3, 4, 5, 6], [2, 3], { device });
 * x.shape; // [2, 3]
 */
export function tensor(data: ArrayLike<number>, shape?: readonly number[], options: TensorOptions = {}): Tensor {
  checkNumbers('tensor', data);
  const extents = shape === undefined ? [data.length] : shape;
  const { device, dtype, category, requiresGradient } = resolve('tensor', extents, options, dtypeOf(data));
  if (data.length !== sizeOf(extents)) {
    throw new ShapeError(
      `tensor: shape ${show(extents)} holds ${sizeOf(extents)} numbers; got ${data.length}. Make the two agree.`,
    );
  }
  if (data instanceof Uint16Array && dtype !== 'f16' && dtype !== 'bf16') {
    throw new OptionError(`tensor: a Uint16Array holds f16 or bf16 bit patterns; name the dtype, not ${dtype}.`);
  }
  const bytes = encode('tensor', data, dtype);
  const out = empty(extents, dtype, device, category);
  device.write(writable(out), bytes);
  if (dtype === 'i32') noteIntegers(out, data);
  if (requiresGradient) trackLeaf(out);
  return out;
}

/**
 * A tensor of `shape` with every element `value`; f32 by default.
 *
 * @throws as `tensor` does.
 */
export function full(shape: readonly number[], value: number, options: TensorOptions = {}): Tensor {
  const { device, dtype, category, requiresGradient } = resolve('full', shape, options, 'f32');
  checkValue('full', 'value', value, someNumber);
  const one = encode('full', [value], dtype);
  const out = scope(() => {
    const whole = empty(shape, dtype, device, category);
    const element = whole.size === 1 ? whole : empty([], dtype, device, 'workspace');
    device.write(writable(element), one);
    if (element !== whole) runElementwise(variable('x0', isFloat(dtype) ? 'f32' : 'i32'), [element], whole);
    return whole;
  });
  if (dtype === 'i32') noteIntegers(out, [value]);
  if (requiresGradient) trackLeaf(out);
  return out;
}

/** A tensor of zeros; see `full`. */
export const zeros = (shape: readonly number[], options: TensorOptions = {}): Tensor => full(shape, 0, options);
