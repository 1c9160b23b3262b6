import { isFloat } from '../core/dtype.js';
import { checkValues, flag, wholeNumber } from '../core/requirements.js';
import { resolveAxis, sizeOf } from '../core/shape.js';
import { launchScan, type ScanDirection } from '../kernels/scan/launch.js';
import { scanDtype } from '../kernels/scan/scan.js';
import { commonDevice, empty, operation, type Tensor } from '../tensor/index.js';

export interface CumulativeSumOptions {
  /** Default −1, the last. */
  readonly axis?: number;
  /** Leave out the element itself, so that the first result is 0; default false. */
  readonly exclusive?: boolean;
  /** Sum from the end; default false. */
  readonly reverse?: boolean;
}

/**
 * `out_i = Σ_{j ≤ i} x_j` along one axis; with `exclusive` over j < i, with `reverse` over j ≥ i (j > i). Floats are summed in
 * f32 and keep their dtype, integers give i32 and wrap. Long axes are summed in chunks of a size that depends on the shape
 * only. A NaN or infinity reaches the sums that include it and no others.
 *
 * @throws OptionError for an axis that does not exist.
 *
 * @example
 * cumulativeSum(tensor([1, 2, 3], [3], { device })); // [1, 3, 6]
 */
export function cumulativeSum(x: Tensor, options: CumulativeSumOptions = {}): Tensor {
  commonDevice('cumulativeSum', [x]);
  checkValues('cumulativeSum', options, { axis: wholeNumber, exclusive: flag, reverse: flag });
  const axis = resolveAxis('cumulativeSum', options.axis ?? -1, x.shape);
  const direction = { exclusive: options.exclusive === true, reverse: options.reverse === true };
  const out = run(x, axis, direction);
  if (isFloat(x.dtype)) {
    operation('cumulativeSum', [x], [out], ([d]) => [run(d!, axis, { ...direction, reverse: !direction.reverse })]);
  }
  return out;
}

function run(x: Tensor, axis: number, direction: ScanDirection): Tensor {
  const out = empty(x.shape, scanDtype(x.dtype), x.device);
  const [rows, length, columns] = [sizeOf(x.shape.slice(0, axis)), x.shape[axis]!, sizeOf(x.shape.slice(axis + 1))];
  launchScan(x.device, x.dtype, x.buffer, out.buffer, { rows, length, columns }, direction);
  x.device.counters.bytesMoved += x.byteLength + out.byteLength;
  return out;
}
