import { bytesPerElement, decode, type Dtype, type HostArray } from '../core/dtype.js';
import { show } from '../core/shape.js';
import type { Device } from '../devices/device.js';
import type { Storage } from './storage.js';

/** Values that are shown. */
const SHOWN = 6;
const DIGITS = 5;

/** A tensor as text. */
interface Described {
  readonly shape: readonly number[];
  readonly dtype: Dtype;
  readonly size: number;
  readonly device: Device;
  readonly requiresGradient: boolean;
}

/** A tensor in a line, with its first values where its device works at once; without `storage` it was disposed. */
export function describe(
  { shape, dtype, size, device, requiresGradient }: Described,
  storage: Storage | undefined,
): string {
  const what = `Tensor ${dtype}${show(shape)} on ${device.info.kind}${requiresGradient ? ', requires gradient' : ''}`;
  if (storage === undefined) return `${what}, disposed`;
  const count = Math.min(size, SHOWN);
  let first: HostArray | undefined;
  try {
    device.guard(storage.buffer, (bytes) => (first = decode(bytes.slice(0, count * bytesPerElement[dtype]), dtype)));
  } catch {
    return `${what}, of a device that was disposed`;
  }
  // the others answer later
  if (first === undefined) return what;
  const values = Array.from(first, (value) => String(Number(value.toPrecision(DIGITS))));
  return `${what}: ${values.join(', ')}${size > count ? ', …' : ''}`;
}
