import { checkValues, flag, wholeNumber } from '../core/requirements.js';
import { resolveAxis, sizeOf } from '../core/shape.js';
import { argmax as kernel, argmaxParameters } from '../kernels/rowwise/argmax.js';
import { columnsPerTask, rowsPerTask } from '../kernels/task-size.js';
import { commonDevice, produce, type Tensor } from '../tensor/index.js';
import { noteBelow } from '../tensor/integers.js';

export interface ArgmaxOptions {
  /** Default: all axes, as one. */
  readonly axis?: number;
  /** Keep the reduced axis with extent 1; default false. */
  readonly keepDims?: boolean;
}

/**
 * The index of the largest number along an axis, i32; the first of equals, and the first NaN where there is one. Not
 * differentiable. Integers are compared as f32, exact to ±2²⁴.
 *
 * @throws OptionError for an axis that does not exist.
 *
 * @example
 * argmax(tensor([3, 9, 4], [3], { device })); // 1
 */
export function argmax(x: Tensor, options: ArgmaxOptions = {}): Tensor {
  const device = commonDevice('argmax', [x]);
  checkValues('argmax', options, { axis: wholeNumber, keepDims: flag });
  const { axis, keepDims = false } = options;
  const at = axis === undefined ? 0 : resolveAxis('argmax', axis, x.shape);
  const rows = sizeOf(x.shape.slice(0, at));
  const length = axis === undefined ? x.size : x.shape[at]!;
  const columns = x.size / rows / length;
  const reduced = (i: number): boolean => axis === undefined || i === at;
  const shape = keepDims
    ? x.shape.map((extent, i) => (reduced(i) ? 1 : extent))
    : x.shape.filter((_, i) => !reduced(i));
  const inner = columns === 1;
  const perTask = inner ? rowsPerTask(length, x.device.info) : columnsPerTask(columns, x.device.info, 256);
  const tasks = inner ? Math.ceil(rows / perTask) : rows * Math.ceil(columns / perTask);
  return produce(shape, 'i32', device, (out) => {
    const args = argmaxParameters.pack({ x: x.buffer, out: out.buffer, rows, length, columns, perTask });
    x.device.run(kernel(inner, x.dtype), args, tasks);
    x.device.counters.bytesMoved += x.byteLength + out.byteLength;
    noteBelow(out, length);
  });
}
