import { isFloat, type FloatDtype } from '../core/dtype.js';
import { OptionError, ShapeError } from '../core/errors.js';
import { checkValues, oneOf, type Requirements } from '../core/requirements.js';
import { sameShape, show } from '../core/shape.js';
import { crossEntropyGradientKernel, crossEntropyKernel } from '../kernels/cross-entropy.js';
import { rowsPerTask as rowsFor } from '../kernels/task-size.js';
import { commonDevice, empty, operation, scope, Tensor } from '../tensor/index.js';
import { div } from './arithmetic.js';
import { countTargets } from './count-targets.js';
import { checkIndices } from './indices.js';
import { sum } from './reduce.js';

export interface CrossEntropyOptions {
  /** Rows with this target count for nothing, such as −100; default: none. */
  readonly ignoreIndex?: number;
  /** Part of the weight that is shared evenly by all classes, from 0 to 1; default 0. */
  readonly labelSmoothing?: number;
  /** `'none'`: one loss per row; default `'mean'`, over the rows that are not ignored. */
  readonly reduction?: 'mean' | 'sum' | 'none';
}

const requirements: Requirements = {
  ignoreIndex: { must: 'a 32-bit whole number', holds: (index) => typeof index === 'number' && (index | 0) === index },
  labelSmoothing: {
    must: 'a number from 0 to 1',
    holds: (share) => typeof share === 'number' && share >= 0 && share <= 1,
  },
  reduction: oneOf(['mean', 'sum', 'none']),
};

/**
 * `−Σ_c y_c · log softmax(logits)_c` of every row, where y is 1 − s at the target plus s/V everywhere, s the label smoothing:
 * `logits [..., V]`, `targets [...]` i32, giving one number, or `[...]` for reduction `'none'`. f32. No probabilities are stored: beside
 * the logits, the gradient keeps one number per row.
 *
 * @throws ShapeError when targets are not shaped like the rows.
 * @throws OptionError naming a target outside `0 … V−1` and its position; for an option outside its range; for a mean
 * over rows that are all ignored.
 *
 * @example
 * crossEntropy(tensor([0, 0, 0, 0], [2, 2], { device }), tensor(Int32Array.of(0, 1), [2], { device })); // log 2
 */
export function crossEntropy(logits: Tensor, targets: Tensor, options: CrossEntropyOptions = {}): Tensor {
  const who = 'crossEntropy';
  checkValues(who, options, requirements);
  const { ignoreIndex, labelSmoothing: smoothing = 0, reduction = 'mean' } = options;
  const device = commonDevice(who, [logits, targets]);
  if (logits.rank === 0 || !sameShape(logits.shape.slice(0, -1), targets.shape)) {
    throw new ShapeError(
      `${who}: logits must be [...,V] and targets [...]; got logits=${show(logits.shape)}, targets=${show(targets.shape)}.`,
    );
  }
  if (!isFloat(logits.dtype))
    throw new OptionError(`${who}: logits must be f32, f16 or bf16; got ${logits.dtype}. Use cast first.`);
  const length = logits.shape.at(-1)!;
  const rule = { name: 'targets', bound: length, of: `logits=${show(logits.shape)}`, ignore: ignoreIndex };
  return scope(() => {
    const safe = checkIndices(who, targets, rule);
    const count = reduction === 'mean' ? countTargets(who, safe, ignoreIndex) : 1;
    const losses = empty(targets.shape, 'f32', device);
    const logsumexp = empty(targets.shape, 'f32', device, 'saved');
    const rows = targets.size;
    const rowsPerTask = rowsFor(length, device.info);
    const tasks = Math.ceil(rows / rowsPerTask);
    const spec = { dtype: logits.dtype as FloatDtype, smooth: smoothing > 0 };
    const common = () => ({
      logits: logits.buffer,
      targets: safe.buffer,
      logsumexp: logsumexp.buffer,
      rows,
      length,
      rowsPerTask,
      ignore: ignoreIndex ?? -1,
      smoothing,
      sharp: 1 - smoothing,
    });
    const forward = crossEntropyKernel(spec);
    device.run(forward.kernel, forward.pack({ ...common(), loss: losses.buffer }), tasks);
    device.counters.bytesMoved += logits.byteLength + targets.byteLength + 2 * losses.byteLength;
    const total = reduction === 'none' ? losses : sum(losses);
    const loss = reduction === 'mean' ? div(total, count) : total;
    const vjp = ([d]: readonly (Tensor | undefined)[]): Tensor[] => {
      const dlogits = empty(logits.shape, 'f32', device);
      const { kernel, pack } = crossEntropyGradientKernel(spec);
      const [factor, dloss] = count instanceof Tensor ? [1, div(d!, count)] : [1 / count, d!];
      const dlossStep = reduction === 'none' ? 1 : 0;
      device.run(kernel, pack({ ...common(), dloss: dloss.buffer, dlossStep, factor, dlogits: dlogits.buffer }), tasks);
      device.counters.bytesMoved += logits.byteLength + dlogits.byteLength;
      return [dlogits];
    };
    const saved = [logits, safe, logsumexp, ...(count instanceof Tensor ? [count] : [])];
    operation(who, [logits], [loss], vjp, saved);
    return loss;
  });
}
