import { OptionError, ShapeError } from '../core/errors.js';
import { sameShape, show } from '../core/shape.js';
import { searchKernel } from '../kernels/sort/search.js';
import { commonDevice, produce, type Tensor } from '../tensor/index.js';
import { noteBelow } from '../tensor/integers.js';

const who = 'searchSorted';

/**
 * How many numbers of each ascending row are at most a value: `sorted [..., n]` and `values [..., m]`, both f32, give i32 `[..., m]` from 0
 * to n; 0 for a NaN. On the running sums of a distribution, uniform numbers times its sum become draws from it. Not differentiable.
 *
 * @throws ShapeError when the axes before the last differ; OptionError for tensors that are not f32.
 *
 * @example
 * const sums = tensor([1, 4, 9], [3], { device });
 * searchSorted(sums, tensor([0.5, 4, 20], [3], { device })); // [0, 2, 3]
 */
export function searchSorted(sorted: Tensor, values: Tensor): Tensor {
  const device = commonDevice(who, [sorted, values]);
  const shapes = `got sorted=${show(sorted.shape)}, values=${show(values.shape)}`;
  if (sorted.rank === 0 || !sameShape(sorted.shape.slice(0, -1), values.shape.slice(0, -1)) || values.rank === 0) {
    throw new ShapeError(`${who}: sorted must be [...,n] and values [...,m], equal before the last axis; ${shapes}.`);
  }
  const other = [sorted, values].find(({ dtype }) => dtype !== 'f32');
  if (other) throw new OptionError(`${who}: sorted and values must be f32; got ${other.dtype}. Use cast first.`);
  const [length, count] = [sorted.shape.at(-1)!, values.shape.at(-1)!];
  return produce(values.shape, 'i32', device, (out) => {
    const { kernel, pack } = searchKernel(undefined);
    const stride = 2 ** Math.floor(Math.log2(length));
    const args = pack({ sorted: sorted.buffer, values: values.buffer, out: out.buffer, length, count, stride });
    device.run(kernel, args, sorted.size / length);
    device.counters.bytesMoved += values.byteLength + out.byteLength;
    noteBelow(out, length + 1);
  });
}
