import { OptionError } from '../core/errors.js';
import { checkValues, flag } from '../core/requirements.js';
import { show } from '../core/shape.js';
import { launchSort } from '../kernels/sort/launch.js';
import { commonDevice, empty, scope, type Tensor } from '../tensor/index.js';
import { noteBelow } from '../tensor/integers.js';
import { takeChecked } from './gather.js';

export interface SortOptions {
  /** The largest first; default false. */
  readonly descending?: boolean;
}

export interface Sorted {
  /** The elements of each row in order. */
  readonly values: Tensor;
  /** Where in its row each came from, i32. */
  readonly indices: Tensor;
}

/**
 * The order of each row along the last axis: `indices` i32 shaped like `x`, with `x[…, indices[…, i]]` ascending, or descending. Equal
 * elements stay in the order of their index either way; −0 equals 0; a NaN counts as larger than every number. Not
 * differentiable.
 *
 * @throws OptionError for a tensor without axes or an unknown option.
 *
 * @example
 * argsort(tensor([3, 1, 2], [3], { device })); // [1, 2, 0]
 */
export function argsort(x: Tensor, options: SortOptions = {}): Tensor {
  return scope(() => order('argsort', x, options));
}

/**
 * The elements of each row along the last axis in the order of `argsort`, and that order. The gradient of a value goes to
 * the element it came from.
 *
 * @throws OptionError for a tensor without axes or an unknown option.
 *
 * @example
 * const { values, indices } = sort(tensor([3, 1, 2], [3], { device })); // [1, 2, 3], [1, 2, 0]
 */
export function sort(x: Tensor, options: SortOptions = {}): Sorted {
  return scope(() => {
    const indices = order('sort', x, options);
    return { values: takeChecked('sort', x, indices), indices };
  });
}

function order(who: string, x: Tensor, options: SortOptions): Tensor {
  checkValues(who, options, { descending: flag });
  checkRows(who, x);
  const out = empty(x.shape, 'i32', x.device);
  const length = x.shape.at(-1)!;
  launchSort(x.device, x.dtype, x.buffer, out.buffer, { rows: x.size / length, length }, options.descending === true);
  x.device.counters.bytesMoved += x.byteLength + out.byteLength;
  noteBelow(out, length);
  return out;
}

export function checkRows(who: string, x: Tensor): void {
  commonDevice(who, [x]);
  if (x.rank > 0) return;
  throw new OptionError(`${who}: takes a tensor with at least one axis; got ${show(x.shape)}. Reshape it to [1].`);
}
