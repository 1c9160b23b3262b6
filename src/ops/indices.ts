import { CapabilityError, OptionError } from '../core/errors.js';
import { show } from '../core/shape.js';
import type { Device, DeviceBuffer } from '../devices/device.js';
import { rangeChunk, rangeProgram, rangeWords } from '../kernels/gather/range.js';
import type { Tensor } from '../tensor/index.js';

/** The smallest and largest index, and how many there are besides those ignored. */
export interface IndexRange {
  readonly low: number;
  readonly high: number;
  readonly count: number;
}

interface Known extends IndexRange {
  readonly ignore: number | undefined;
}
// tensors never change, so one look is enough
const ranges = new WeakMap<Tensor, Known>();

/** What a tensor of i32 holds, those equal to `ignore` left out. */
export function indexRange(who: string, indices: Tensor, ignore?: number): IndexRange {
  const known = ranges.get(indices);
  if (known && known.ignore === ignore) return known;
  const { device, size } = indices;
  const tasks = Math.ceil(size / rangeChunk);
  const found = device.allocate(4 * rangeWords * tasks, 'workspace');
  try {
    const { kernel, pack } = rangeProgram({ ignores: ignore !== undefined });
    device.run(kernel, pack({ indices: indices.buffer, out: found, count: size, ignore: ignore ?? 0 }), tasks);
    const words = readNow(who, device, found);
    const range = { low: 2 ** 31 - 1, high: -(2 ** 31), count: 0, ignore };
    for (let task = 0; task < tasks; task++) {
      range.low = Math.min(range.low, words[rangeWords * task]!);
      range.high = Math.max(range.high, words[rangeWords * task + 1]!);
      range.count += words[rangeWords * task + 2]!;
    }
    // what a rehearsal reads back is 0: none of them is ignored then
    if (device.info.kind === 'rehearsal') range.count = size;
    ranges.set(indices, range);
    return range;
  } finally {
    device.free(found);
  }
}

function readNow(who: string, device: Device, buffer: DeviceBuffer): Int32Array {
  const { readSync } = device as Device & { readSync?: (buffer: DeviceBuffer) => Uint8Array };
  if (readSync === undefined) {
    throw new CapabilityError(
      `${who}: indices are checked by reading them back at once, which a ${device.info.kind} device cannot.`,
    );
  }
  const bytes = readSync.call(device, buffer);
  return new Int32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
}

/** What the indices of a call may be. */
export interface IndexRule {
  /** `indices`, `targets`: what the caller named them. */
  readonly name: string;
  /** Indices must be from 0 to `bound − 1`. */
  readonly bound: number;
  /** What has that many entries, such as `axis 0 of x=[5,3]`. */
  readonly of: string;
  readonly ignore?: number | undefined;
}

/** @throws OptionError that names the first index out of range, its position and the bound. */
export function checkIndices(who: string, indices: Tensor, { name, bound, of, ignore }: IndexRule): IndexRange {
  if (indices.dtype !== 'i32') {
    throw new OptionError(`${who}: ${name} must be i32; got ${indices.dtype}${show(indices.shape)}. Use cast first.`);
  }
  const range = indexRange(who, indices, ignore);
  if (range.count === 0 || (range.low >= 0 && range.high < bound)) return range;
  const all = readNow(who, indices.device, indices.buffer).subarray(0, indices.size);
  const at = all.findIndex((index) => index !== ignore && (index < 0 || index >= bound));
  const besides = ignore === undefined ? '' : `, or ${ignore} to be ignored`;
  throw new OptionError(
    `${who}: ${name} must be from 0 to ${bound - 1}${besides} (${of}); got ${all[at]} at ${position(at, indices.shape)}.`,
  );
}

/** Element `flat` of a tensor as `[1,2]`. */
function position(flat: number, shape: readonly number[]): string {
  const at: number[] = [];
  let rest = flat;
  for (const extent of [...shape].reverse()) {
    at.unshift(rest % extent);
    rest = Math.floor(rest / extent);
  }
  return show(at);
}
