import { isFloat } from '../core/dtype.js';
import { OptionError, ShapeError } from '../core/errors.js';
import { show } from '../core/shape.js';
import { launchConvolve, launchConvolveWeights, weightChunks, type ConvolveShape } from '../kernels/convolve/launch.js';
import { commonDevice, empty, operation, produce, scope, type Tensor } from '../tensor/index.js';
import { cast } from './cast.js';
import { sum } from './reduce.js';

/**
 * Depthwise convolution along the length, one kernel per head for all its columns:
 * `out[b,h,i] = Σ_t weight[h,t]·x[b,h,i + t − (κ−1)/2]`, with `x [B,H,n,D]`, `weight [H,κ]`, κ odd, and rows outside of
 * 0 … n−1 counted as 0. The result is shaped like x; B·H·n·D·κ multiply-adds, as many again for each gradient.
 *
 * Source: the residual of Nyströmformer, Xiong et al. 2021, arXiv 2102.03902.
 *
 * @throws ShapeError for other ranks, a different number of heads or an even κ; OptionError for numbers that are not floats.
 *
 * @example
 * const x = tensor([1, 2, 3, 4], [1, 1, 4, 1], { device });
 * convolve(x, tensor([1, 0, -1], [1, 3], { device })); // [[[[-2], [-2], [-2], [3]]]]
 */
export function convolve(x: Tensor, weight: Tensor): Tensor {
  const device = commonDevice('convolve', [x, weight]);
  if (!isFloat(x.dtype) || !isFloat(weight.dtype)) {
    throw new OptionError(
      `convolve: takes f32, f16 or bf16; got x ${x.dtype}, weight ${weight.dtype}. Use cast first.`,
    );
  }
  const [, heads = 0, n = 0, columns = 0] = x.shape;
  const taps = weight.shape.at(-1) ?? 0;
  if (x.rank !== 4 || weight.rank !== 2 || weight.shape[0] !== heads || taps % 2 === 0) {
    throw new ShapeError(
      `convolve: x must be [B,H,n,D] and weight [H,κ] with the same H and κ odd; got x=${show(x.shape)}, weight=${show(weight.shape)}.`,
    );
  }
  if (x.dtype !== 'f32') return scope(() => cast(convolve(cast(x, 'f32'), weight), x.dtype));
  if (weight.dtype !== 'f32') return scope(() => convolve(x, cast(weight, 'f32')));
  const shape: ConvolveShape = { count: x.shape[0]! * heads, heads, n, columns, taps };
  const run = (from: Tensor, flipped: boolean): Tensor =>
    produce(x.shape, 'f32', device, (to) =>
      launchConvolve(device, from.buffer, weight.buffer, to.buffer, shape, flipped),
    );
  const out = run(x, false);
  operation(
    'convolve',
    [x, weight],
    [out],
    ([d], needs) => [needs[0] ? run(d!, true) : undefined, needs[1] ? weightGradient(x, d!, shape) : undefined],
    [x, weight],
  );
  return out;
}

function weightGradient(x: Tensor, d: Tensor, shape: ConvolveShape): Tensor {
  const { heads, count, n, taps } = shape;
  const parts = empty([count / heads, heads, weightChunks(n), taps], 'f32', x.device, 'workspace');
  launchConvolveWeights(x.device, x.buffer, d.buffer, parts.buffer, shape);
  return sum(parts, { axes: [0, 2] });
}
