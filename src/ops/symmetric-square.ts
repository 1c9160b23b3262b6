import type { FloatDtype } from '../core/dtype.js';
import { isFloat } from '../core/dtype.js';
import { OptionError, ShapeError } from '../core/errors.js';
import { show } from '../core/shape.js';
import { launchSymmetricSquare, pairsOfRow } from '../kernels/symmetric-square.js';
import { commonDevice, empty, operation, scope, type Tensor } from '../tensor/index.js';
import { stored, widened } from './cast.js';

/**
 * The products `x_i x_j`, i ≤ j, of every row of `x` `[..., n]`, those with i < j times √2: `[..., n(n+1)/2]`, in the order of the
 * upper triangle by rows. It is the square x ⊗ x without its repetitions, so that
 * `symmetricSquare(x)·symmetricSquare(y) = (x·y)²`. Differentiable; f16 and bf16 keep their dtype.
 *
 * @throws ShapeError for a tensor without axes; OptionError for a dtype that is not a float.
 *
 * @example
 * symmetricSquare(tensor([3, 5], [2], { device })); // [9, 15·√2, 25]
 */
export function symmetricSquare(x: Tensor): Tensor {
  const device = commonDevice('symmetricSquare', [x]);
  if (!isFloat(x.dtype)) throw new OptionError(`symmetricSquare: x must be a float tensor; got ${x.dtype}. Use cast.`);
  const n = x.shape.at(-1);
  if (n === undefined) throw new ShapeError(`symmetricSquare: x must be [..., n]; got ${show(x.shape)}.`);
  const sizes = { rows: x.size / n, n };
  return scope(() => {
    const square = empty([...x.shape.slice(0, -1), pairsOfRow(n)], 'f32', device);
    launchSymmetricSquare(device, { x: widened(x).buffer, square: square.buffer }, sizes);
    const out = stored(square, x.dtype as FloatDtype);
    operation(
      'symmetricSquare',
      [x],
      [out],
      ([d]) => {
        const dx = empty(x.shape, 'f32', device);
        launchSymmetricSquare(device, { x: widened(x).buffer, square: widened(d!).buffer, dx: dx.buffer }, sizes);
        return [dx];
      },
      [x],
    );
    return out;
  });
}
