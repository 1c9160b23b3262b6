import type { Device, DeviceBuffer } from '../../devices/device.js';
import { poolRowsKernel } from './rows.js';
import { poolRowsWeightsKernel } from './weights.js';

/** Multiply-adds of a task, whatever the number of threads. */
const PRODUCTS = 2 ** 18;

/**
 * Matrices `[batch·heads, n, columns]`, of which slot p sees the rows p·stride … p·stride + taps − 1 that there are, with weights
 * `[batch or 1, heads or 1, slots, taps]`.
 */
export interface PoolShape {
  readonly batch: number;
  readonly heads: number;
  readonly n: number;
  readonly columns: number;
  readonly slots: number;
  readonly taps: number;
  readonly stride: number;
  /** Extents of the first two axes of the weights. */
  readonly weightBatch: number;
  readonly weightHeads: number;
}

const products = ({ batch, heads, slots, taps, columns }: PoolShape): number => batch * heads * slots * taps * columns;
const rowBytes = ({ batch, heads, n, slots, columns }: PoolShape): number => 4 * batch * heads * (n + slots) * columns;

/** Pools rows to slots; `transposed` takes the gradient of the slots to that of the rows. */
export function launchPoolRows(
  device: Device,
  from: DeviceBuffer,
  weights: DeviceBuffer,
  out: DeviceBuffer,
  shape: PoolShape,
  transposed: boolean,
): void {
  const { batch, heads, n, slots, taps, weightBatch, weightHeads } = shape;
  const { rows, chunks } = split(shape, transposed ? n : slots);
  const { kernel, pack } = poolRowsKernel({ transposed });
  const headStep = Number(weightHeads > 1);
  const batchStep = weightBatch > 1 ? weightHeads : 0;
  const args = pack({ ...sizes(shape), from, weights, out, heads, batchStep, headStep, rows, chunks });
  device.run(kernel, args, batch * heads * chunks);
  device.counters.multiplyAdds += products(shape);
  device.counters.bytesMoved += rowBytes(shape) + 4 * weightBatch * weightHeads * slots * taps;
}

/** Writes the gradient of the weights before any sum over what shares them, `[batch, heads, slots, taps]`. */
export function launchPoolRowsWeights(
  device: Device,
  x: DeviceBuffer,
  d: DeviceBuffer,
  out: DeviceBuffer,
  shape: PoolShape,
): void {
  const { batch, heads, slots, taps } = shape;
  const { rows, chunks } = split(shape, slots);
  const { kernel, pack } = poolRowsWeightsKernel(undefined);
  device.run(kernel, pack({ ...sizes(shape), x, d, out, rows, chunks }), batch * heads * chunks);
  device.counters.multiplyAdds += products(shape);
  device.counters.bytesMoved += rowBytes(shape) + 4 * batch * heads * slots * taps;
}

/** `rows` of the result a task, and the tasks of a matrix. */
function split({ columns, slots, taps }: PoolShape, of: number): { readonly rows: number; readonly chunks: number } {
  const tasks = Math.ceil((slots * taps * columns) / PRODUCTS);
  const rows = Math.ceil(of / Math.min(of, tasks));
  return { rows, chunks: Math.ceil(of / rows) };
}

type Sizes = Pick<PoolShape, 'n' | 'columns' | 'slots' | 'taps' | 'stride'>;

const sizes = ({ n, columns, slots, taps, stride }: PoolShape): Sizes => ({
  n,
  columns,
  slots,
  taps,
  // with a single slot every stride from n on is the same, and this one is an i32
  stride: Math.min(stride, n),
});
