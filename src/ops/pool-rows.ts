import { isFloat } from '../core/dtype.js';
import { OptionError, ShapeError } from '../core/errors.js';
import { checkValues, wholeFrom } from '../core/requirements.js';
import { show } from '../core/shape.js';
import { launchPoolRows, launchPoolRowsWeights, type PoolShape } from '../kernels/pool-rows/launch.js';
import { commonDevice, empty, operation, produce, records, scope, type Tensor } from '../tensor/index.js';
import { cast } from './cast.js';
import { sumTo } from './reduce.js';

export interface PoolRowsOptions {
  /** Rows from the first one of a slot to the first one of the next, ≥ 1. */
  readonly stride: number;
}

/**
 * Weighted sums of neighbouring rows: `out[b,h,p] = Σ_t weights[b,h,p,t]·x[b,h,p·stride + t]`, with `x [B,H,n,C]` and `weights`
 * `[B or 1, H or 1, ⌈n/stride⌉, κ]`, rows from n on left out; out `[B,H,⌈n/stride⌉,C]`. Slots overlap where κ > stride and pass rows
 * over where κ < stride. B·H·⌈n/stride⌉·κ·C multiply-adds, as many again for each gradient. Differentiable in both.
 *
 * Source: with the softmax of a projection as weights, the dynamic convolution of Wu et al. 2019, arXiv 1901.10430.
 *
 * @throws ShapeError for other shapes; OptionError for numbers that are not floats, or a stride that is not a whole number from 1 on.
 *
 * @example
 * const x = tensor([1, 2, 3, 4, 5], [1, 1, 5, 1], { device });
 * poolRows(x, full([1, 1, 3, 2], 0.5, { device }), { stride: 2 }); // [[[[1.5], [3.5], [2.5]]]]
 */
export function poolRows(x: Tensor, weights: Tensor, options: PoolRowsOptions): Tensor {
  checkValues('poolRows', options, { stride: wholeFrom(1) }, ['stride']);
  const device = commonDevice('poolRows', [x, weights]);
  const shape = check(x, weights, options.stride);
  if (x.dtype !== 'f32') return scope(() => cast(poolRows(cast(x, 'f32'), weights, options), x.dtype));
  if (weights.dtype !== 'f32') return scope(() => poolRows(x, cast(weights, 'f32'), options));
  const { batch, heads, slots, columns } = shape;
  const run = (from: Tensor, to: readonly number[], transposed: boolean): Tensor =>
    produce(to, 'f32', device, (out) =>
      launchPoolRows(device, from.buffer, weights.buffer, out.buffer, shape, transposed),
    );
  const out = run(x, [batch, heads, slots, columns], false);
  // each gradient reads the other input
  const saved = [...(records([weights]) ? [x] : []), ...(records([x]) ? [weights] : [])];
  operation(
    'poolRows',
    [x, weights],
    [out],
    ([d], needs) => [
      needs[0] ? run(d!, x.shape, true) : undefined,
      needs[1] ? weightGradient(x, d!, shape, weights.shape) : undefined,
    ],
    saved,
  );
  return out;
}

function weightGradient(x: Tensor, d: Tensor, shape: PoolShape, to: readonly number[]): Tensor {
  const { batch, heads, slots, taps } = shape;
  const each = empty([batch, heads, slots, taps], 'f32', x.device);
  launchPoolRowsWeights(x.device, x.buffer, d.buffer, each.buffer, shape);
  return sumTo(each, to);
}

function check(x: Tensor, weights: Tensor, stride: number): PoolShape {
  if (!isFloat(x.dtype) || !isFloat(weights.dtype)) {
    throw new OptionError(
      `poolRows: takes f32, f16 or bf16; got x ${x.dtype}, weights ${weights.dtype}. Use cast first.`,
    );
  }
  const [batch = 0, heads = 0, n = 0, columns = 0] = x.shape;
  const [weightBatch = 0, weightHeads = 0, slots = 0, taps = 0] = weights.shape;
  const fits = (extent: number, of: number): boolean => extent === 1 || extent === of;
  const ranks = x.rank === 4 && weights.rank === 4;
  if (!ranks || !fits(weightBatch, batch) || !fits(weightHeads, heads) || slots !== Math.ceil(n / stride)) {
    throw new ShapeError(
      'poolRows: x must be [B,H,n,C] and weights [B or 1, H or 1, ⌈n/stride⌉, κ]; ' +
        `got x=${show(x.shape)}, weights=${show(weights.shape)}, stride ${stride}.`,
    );
  }
  return { batch, heads, n, columns, slots, taps, stride, weightBatch, weightHeads };
}
