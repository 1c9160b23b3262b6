import { isFloat } from '../core/dtype.js';
import { checkValues, wholeNumber } from '../core/requirements.js';
import { resolveAxis, sizeOf } from '../core/shape.js';
import { columnsPerTask, rowsPerTask } from '../kernels/task-size.js';
import { softmax as kernel, softmaxParameters } from '../kernels/rowwise/softmax.js';
import { commonDevice, operation, produce, type Tensor } from '../tensor/index.js';

export interface SoftmaxOptions {
  /** Default −1, the last. */
  readonly axis?: number;
}

/**
 * `e^(x_i − m) / Σ_j e^(x_j − m)` along one axis, m the largest number of the line. A line of −∞ gives 0, with gradient 0.
 * Integers give f32.
 *
 * @throws OptionError for an axis that does not exist.
 *
 * @example
 * softmax(tensor([0, 0, 0, 0], [2, 2], { device })); // [0.5, 0.5, 0.5, 0.5]
 */
export function softmax(x: Tensor, options: SoftmaxOptions = {}): Tensor {
  const device = commonDevice('softmax', [x]);
  checkValues('softmax', options, { axis: wholeNumber });
  const axis = resolveAxis('softmax', options.axis ?? -1, x.shape);
  // the forward kernel reads no gradient; it is given x in its place
  const y = produce(x.shape, isFloat(x.dtype) ? x.dtype : 'f32', device, (out) => launch('forward', x, x, out, axis));
  operation(
    'softmax',
    [x],
    [y],
    ([d]) => [produce(x.shape, 'f32', device, (dx) => launch('backward', y, d!, dx, axis))],
    [y],
  );
  return y;
}

function launch(direction: 'forward' | 'backward', x: Tensor, dy: Tensor, out: Tensor, axis: number): void {
  const [rows, length, columns] = [sizeOf(x.shape.slice(0, axis)), x.shape[axis]!, sizeOf(x.shape.slice(axis + 1))];
  const inner = columns === 1;
  const perTask = inner ? rowsPerTask(length, x.device.info) : columnsPerTask(columns, x.device.info, 64);
  const tasks = inner ? Math.ceil(rows / perTask) : rows * Math.ceil(columns / perTask);
  const args = softmaxParameters.pack({ x: x.buffer, dy: dy.buffer, out: out.buffer, rows, length, columns, perTask });
  x.device.run(kernel(direction, inner, x.dtype, out.dtype), args, tasks);
  x.device.counters.bytesMoved += x.byteLength + out.byteLength + (direction === 'backward' ? dy.byteLength : 0);
}
