import { describe } from '../core/describe.js';
import { OptionError } from '../core/errors.js';
import { show } from '../core/shape.js';
import { launchTopK } from '../kernels/sort/launch.js';
import { empty, scope, type Tensor } from '../tensor/index.js';
import { noteBelow } from '../tensor/integers.js';
import { takeChecked } from './gather.js';
import { checkRows, type Sorted } from './sort.js';

/**
 * The `count` largest elements of each row along the last axis, largest first, and their indices: `[..., n] → [..., count]`. Of
 * equal elements the lower index comes first, as in a stable descending `sort`; a NaN counts as larger than every number. The
 * gradient of a value goes to the element it came from.
 *
 * @throws OptionError unless `count` is a whole number from 1 to n.
 *
 * @example
 * const { values, indices } = topK(tensor([3, 9, 4], [3], { device }), 2); // [9, 4], [1, 2]
 */
export function topK(x: Tensor, count: number): Sorted {
  const who = 'topK';
  checkRows(who, x);
  const length = x.shape.at(-1)!;
  if (!Number.isInteger(count) || count < 1 || count > length) {
    throw new OptionError(
      `${who}: count must be a whole number from 1 to ${length}, the last axis of x=${show(x.shape)}; got ${describe(count)}.`,
    );
  }
  return scope(() => {
    const indices = empty([...x.shape.slice(0, -1), count], 'i32', x.device);
    launchTopK(x.device, x.dtype, x.buffer, indices.buffer, { rows: x.size / length, length }, count);
    x.device.counters.bytesMoved += x.byteLength + indices.byteLength;
    noteBelow(indices, length);
    return { values: takeChecked(who, x, indices), indices };
  });
}
