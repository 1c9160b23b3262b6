import type { Device, DeviceBuffer, KernelArgument } from '../../devices/device.js';
import { launchSort } from '../sort/launch.js';
import { distinctKernel } from './distinct.js';
import { dotKernel } from './dot.js';
import { weighKernel } from './weigh.js';

/** Multiply-adds of one task, whatever the number of threads. */
const PRODUCTS = 2 ** 16;

/** Rows of a table, read by the entries of indices `[rows, count]`. */
export interface TableShape {
  readonly rows: number;
  readonly count: number;
  readonly columns: number;
}

const rowsPerTask = ({ count, columns }: TableShape): number => Math.max(1, Math.floor(PRODUCTS / (count * columns)));

interface Entries {
  readonly table: DeviceBuffer;
  readonly indices: DeviceBuffer;
  readonly out: DeviceBuffer;
}

/** `out[r] = Σ_j weights[r, j]·table[indices[r, j]]`, all f32; the indices must have been checked. */
export function launchWeighRows(
  device: Device,
  { weights, ...entries }: Entries & { readonly weights: DeviceBuffer },
  shape: TableShape,
): void {
  const { rows, count, columns } = shape;
  const { kernel, pack } = weighKernel({ segments: false, weighted: true });
  const own = rowsPerTask(shape);
  const unused = { starts: entries.indices, order: entries.indices };
  device.run(kernel, pack({ ...entries, weights, ...unused, ...shape, rowsPerTask: own }), Math.ceil(rows / own));
  device.counters.multiplyAdds += rows * count * columns;
  device.counters.bytesMoved += 4 * rows * (count * (columns + 2) + columns);
}

/** `out[r, j] = ⟨x[r], table[indices[r, j]]⟩`, all f32; the indices must have been checked. */
export function launchDotRows(
  device: Device,
  { x, ...entries }: Entries & { readonly x: DeviceBuffer },
  shape: TableShape,
): void {
  const { rows, count, columns } = shape;
  const { kernel, pack } = dotKernel(undefined);
  const own = rowsPerTask(shape);
  device.run(kernel, pack({ x, ...entries, ...shape, rowsPerTask: own }), Math.ceil(rows / own));
  device.counters.multiplyAdds += rows * count * columns;
  device.counters.bytesMoved += 4 * rows * (count * (columns + 2) + columns);
}

export interface Collected {
  /** `[rows·count]` i32, from 0; `length` and above are none. */
  readonly indices: DeviceBuffer;
  /** `[rows, columns]`; each entry of row r brings `weights[entry]·source[r]`. */
  readonly source: DeviceBuffer;
  readonly weights: DeviceBuffer | undefined;
  /** `[capacity]` i32 and `[capacity, columns]`. */
  readonly found: DeviceBuffer;
  readonly out: DeviceBuffer;
}

/** The distinct indices, ascending, and the sum of what the entries of each bring, in their order; then `length` and zeros. */
export function launchCollectRows(
  device: Device,
  { indices, source, weights, found, out }: Collected,
  shape: TableShape & { readonly length: number; readonly capacity: number },
): void {
  const { rows, count, columns, length, capacity } = shape;
  const entries = rows * count;
  const workspace = device.allocate(4 * (entries + capacity + 1), 'workspace');
  const order = workspace;
  const starts: KernelArgument = { buffer: workspace, byteOffset: 4 * entries };
  try {
    launchSort(device, 'i32', indices, order, { rows: 1, length: entries }, false);
    const distinct = distinctKernel(undefined);
    device.run(distinct.kernel, distinct.pack({ indices, order, found, starts, count: entries, length, capacity }), 1);
    const { kernel, pack } = weighKernel({ segments: true, weighted: weights !== undefined });
    const own = Math.max(1, Math.floor(PRODUCTS / (columns * Math.ceil(entries / capacity))));
    const names = { table: source, indices, weights: weights ?? source, out, starts, order };
    device.run(kernel, pack({ ...names, rows: capacity, columns, count, rowsPerTask: own }), Math.ceil(capacity / own));
  } finally {
    device.free(workspace);
  }
  device.counters.multiplyAdds += entries * columns;
  device.counters.bytesMoved += 4 * (entries * (columns + 4) + capacity * (columns + 2));
}
