import type { Device, DeviceBuffer } from '../../devices/device.js';
import { convolveKernel, ROWS } from './rows.js';
import { convolveWeightsKernel } from './weights.js';

/** Multiply-adds of a task, whatever the number of threads. */
const PRODUCTS = 2 ** 20;
/** Rows whose products with all taps are summed before they are added to the others: two blocks stay in cache. */
const WEIGHT_ROWS = 256;

/** Matrices `[count, n, columns]`; matrix m is convolved with row m mod `heads` of the weights `[heads, taps]`. */
export interface ConvolveShape {
  readonly count: number;
  readonly heads: number;
  readonly n: number;
  readonly columns: number;
  readonly taps: number;
}

const products = ({ count, n, columns, taps }: ConvolveShape): number => count * n * columns * taps;

/** Convolves with the weights; `flipped` with their order reversed. */
export function launchConvolve(
  device: Device,
  x: DeviceBuffer,
  weights: DeviceBuffer,
  out: DeviceBuffer,
  shape: ConvolveShape,
  flipped: boolean,
): void {
  const { count, heads, n, columns, taps } = shape;
  const rows = Math.min(n, ROWS * Math.max(1, Math.round(PRODUCTS / (columns * taps * ROWS))));
  const chunks = Math.ceil(n / rows);
  const { kernel, pack } = convolveKernel({ flipped });
  device.run(kernel, pack({ x, weights, out, heads, n, columns, taps, rows, chunks }), count * chunks);
  device.counters.multiplyAdds += products(shape);
  device.counters.bytesMoved += 8 * count * n * columns + 4 * heads * taps;
}

/** Chunks of rows for which `launchConvolveWeights` sums apart. */
export const weightChunks = (n: number): number => Math.ceil(n / WEIGHT_ROWS);

/** Writes the parts of the weights' gradient, `[count, chunks, taps]`. */
export function launchConvolveWeights(
  device: Device,
  x: DeviceBuffer,
  d: DeviceBuffer,
  out: DeviceBuffer,
  shape: ConvolveShape,
): void {
  const { count, n, columns, taps } = shape;
  const chunks = weightChunks(n);
  const { kernel, pack } = convolveWeightsKernel(undefined);
  device.run(kernel, pack({ x, d, out, n, columns, taps, rows: WEIGHT_ROWS, chunks }), count * chunks);
  device.counters.multiplyAdds += products(shape);
  device.counters.bytesMoved += 8 * count * n * columns + 4 * count * chunks * taps;
}
