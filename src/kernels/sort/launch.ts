import type { Dtype } from '../../core/dtype.js';
import type { Device, DeviceBuffer, KernelArgument } from '../../devices/device.js';
import { keysKernel, passKernel, placesKernel, sortChunk } from './chunks.js';
import { digits, radix } from './radix.js';
import { rowsPerTask as rowsFor } from '../task-size.js';
import { sortRowsKernel, sortRowsScratch } from './rows.js';
import { sampleOf, topKKernel, topKScratch } from './top-k.js';

/** Elements a task should have at least. */
const ELEMENTS = 8192;

const rowsIn = (length: number, { info }: Device): number =>
  info.gpu ? rowsFor(length, info) : Math.max(1, Math.floor(ELEMENTS / length));
/** Rows longer than this are cut up where there are few of them. */
const LONG = 4 * sortChunk;
const FEW_ROWS = 16;

export interface SortShape {
  readonly rows: number;
  readonly length: number;
}

/** Writes the order of every row of `x` to `out`, i32. */
export function launchSort(
  device: Device,
  dtype: Dtype,
  x: DeviceBuffer,
  out: DeviceBuffer,
  shape: SortShape,
  descending: boolean,
): void {
  const { rows, length } = shape;
  if (length > LONG && rows < FEW_ROWS) return sortChunks(device, dtype, x, out, shape, descending);
  const rowsPerTask = rowsIn(length, device);
  const { kernel, pack } = sortRowsKernel({ dtype, descending });
  const args = pack({ x, out, rows, length, rowsPerTask });
  device.run(kernel, args, Math.ceil(rows / rowsPerTask), { scratchBytes: sortRowsScratch(length) });
}

function sortChunks(
  device: Device,
  dtype: Dtype,
  x: DeviceBuffer,
  out: DeviceBuffer,
  { rows, length }: SortShape,
  descending: boolean,
): void {
  const chunks = Math.ceil(length / sortChunk);
  const bytes = 4 * rows * length;
  const workspace = device.allocate(3 * bytes + 4 * rows * radix * chunks, 'workspace');
  const part = (byteOffset: number): KernelArgument => ({ buffer: workspace, byteOffset });
  // an even number of passes ends in `out`
  let [current, other] = [
    { keys: part(0), items: out as KernelArgument },
    { keys: part(bytes), items: part(2 * bytes) },
  ];
  const counts = part(3 * bytes);
  try {
    const keys = keysKernel({ dtype, descending });
    device.run(keys.kernel, keys.pack({ x, ...current, length, chunks }), rows * chunks);
    for (let digit = 0; digit < digits; digit++) {
      const names = { ...current, otherKeys: other.keys, otherItems: other.items, counts, length, chunks };
      const args = passKernel('count').pack({ ...names, digit, flip: digit === digits - 1 ? 128 : 0 });
      const scratch = { scratchBytes: 4 * radix };
      device.run(passKernel('count').kernel, args, rows * chunks, scratch);
      const places = placesKernel(undefined);
      device.run(places.kernel, places.pack({ counts, chunks }), rows);
      device.run(passKernel('move').kernel, args, rows * chunks, scratch);
      [current, other] = [other, current];
    }
  } finally {
    device.free(workspace);
  }
}

/** Writes the indices of the largest `chosen` elements of every row, in order, to `out`. */
export function launchTopK(
  device: Device,
  dtype: Dtype,
  x: DeviceBuffer,
  out: DeviceBuffer,
  { rows, length }: SortShape,
  chosen: number,
): void {
  const rowsPerTask = rowsIn(length, device);
  const { kernel, pack } = topKKernel({ dtype, descending: true });
  const { count: samples, stride, rank } = sampleOf(length, chosen);
  const args = pack({ x, out, rows, length, chosen, rowsPerTask, samples, stride, rank });
  device.run(kernel, args, Math.ceil(rows / rowsPerTask), { scratchBytes: topKScratch(length, chosen) });
}
