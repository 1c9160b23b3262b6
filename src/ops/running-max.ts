import { OptionError, ShapeError } from '../core/errors.js';
import { checkValues } from '../core/requirements.js';
import { sameShape, show } from '../core/shape.js';
import { runningMaxKernel, runningMaxParameters } from '../kernels/linear-attend/running-max.js';
import { commonDevice, empty, scope, someTensor, type Tensor } from '../tensor/index.js';

export interface RunningMax {
  /** `[..., n]`: the largest number so far. */
  readonly top: Tensor;
  /** `[..., n]`: what it was before, less what it is: 0, or negative where it grew; 0 at first without `initial`. */
  readonly fall: Tensor;
}

/**
 * `top_t = max(initial, x_0, …, x_t)` along the last axis of an f32 `x` `[..., n]`, and how it changed. With
 * `fall` as the decay of `linearAttend`, sums of exponentials are carried in units of `exp(top_t)`, so that they never overflow
 * (the running softmax: Milakov, Gimelshein 2018, arXiv:1805.02867). Has no gradient. NaN stays from where it appears.
 *
 * @throws ShapeError when `initial` is not `[...]`; OptionError for another dtype.
 *
 * @example
 * const { top, fall } = runningMax(tensor([1, 3, 2, 7], [4], { device }));
 * top; // [1, 3, 3, 7]
 * fall; // [0, -2, 0, -4]
 */
export function runningMax(x: Tensor, options: { readonly initial?: Tensor } = {}): RunningMax {
  checkValues('runningMax', options, { initial: someTensor });
  const { initial } = options;
  const given = initial ? [x, initial] : [x];
  const device = commonDevice('runningMax', given);
  if (x.rank === 0 || (initial && !sameShape(initial.shape, x.shape.slice(0, -1)))) {
    throw new ShapeError(
      `runningMax: x must be [..., n] and initial [...]; got ${given.map(({ shape }) => show(shape)).join(' and ')}.`,
    );
  }
  if (given.some(({ dtype }) => dtype !== 'f32')) {
    throw new OptionError(`runningMax: takes f32; got ${given.map(({ dtype }) => dtype).join(', ')}. Use cast.`);
  }
  return scope(() => {
    const [top, fall] = [empty(x.shape, 'f32', device), empty(x.shape, 'f32', device)];
    const length = x.shape.at(-1)!;
    const buffers = { x: x.buffer, initial: (initial ?? x).buffer, top: top.buffer, fall: fall.buffer };
    const args = runningMaxParameters.pack({ ...buffers, length, hasInitial: initial ? 1 : 0 });
    device.run(runningMaxKernel, args, x.size / length);
    device.counters.bytesMoved += x.byteLength + top.byteLength + fall.byteLength;
    return { top, fall };
  });
}
