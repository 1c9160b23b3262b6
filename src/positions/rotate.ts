import { isFloat, type FloatDtype } from '../core/dtype.js';
import { OptionError, ShapeError } from '../core/errors.js';
import { checkValues, oneOf } from '../core/requirements.js';
import { show, sizeOf } from '../core/shape.js';
import { launchRotate, type PairLayout } from '../kernels/rotate.js';
import { stored, widened } from '../ops/cast.js';
import { commonDevice, operation, produce, scope, type Tensor } from '../tensor/index.js';

export type { PairLayout } from '../kernels/rotate.js';

export interface RotateOptions {
  /** `'half'` (default) turns components i and i + R/2 together, as GPT-NeoX and Llama do; `'interleaved'` 2i and 2i + 1. */
  readonly layout?: PairLayout;
}

export const someLayout = oneOf(['half', 'interleaved'] satisfies readonly PairLayout[]);

/**
 * Turns pairs of components: `y_a = x_a·cos − x_b·sin`, `y_b = x_b·cos + x_a·sin`, for `x` `[..., L, D]`. `angles` holds the cosines
 * of R/2 pairs, then their sines, in rows `[L, R]` for all of x, or `[B, L, R]` for each entry of its first axis; R ≤ D is even,
 * and components from R on stay as they are. One pass over x, computed in f32.
 *
 * Differentiable in x: the gradient is turned back by the same angles. `rope` makes the angles from positions.
 *
 * @throws ShapeError when the angles do not fit x; OptionError for an unknown layout or a dtype that does not fit.
 *
 * @example
 * const quarter = tensor([0, 1], [1, 2], { device }); // cos and sin of 90°
 * rotatePairs(tensor([3, 4], [1, 2], { device }), quarter); // [-4, 3]
 */
export function rotatePairs(x: Tensor, angles: Tensor, options: RotateOptions = {}): Tensor {
  checkValues('rotatePairs', options, { layout: someLayout });
  const { layout = 'half' } = options;
  return rotated('rotatePairs', x, angles, layout);
}

/** `rotatePairs` that names the calling operation in messages. */
export function rotated(who: string, x: Tensor, angles: Tensor, layout: PairLayout): Tensor {
  const device = commonDevice(who, [x, angles]);
  if (!isFloat(x.dtype)) throw new OptionError(`${who}: x must be f32, f16 or bf16; got ${x.dtype}. Use cast first.`);
  if (angles.dtype !== 'f32' || angles.requiresGradient) {
    throw new OptionError(`${who}: angles must be f32 and constant; got ${String(angles)}.`);
  }
  const shape = rotateShape(who, x, angles);
  const turn = (from: Tensor, sign: 1 | -1): Tensor =>
    produce(x.shape, 'f32', device, (out) =>
      launchRotate(device, layout, { x: from.buffer, angles: angles.buffer, out: out.buffer }, shape, sign),
    );
  // halves are widened for the pass
  const out = scope(() => stored(turn(widened(x), 1), x.dtype as FloatDtype));
  operation(who, [x], [out], ([d]) => [turn(d!, -1)], [angles]);
  return out;
}

function rotateShape(who: string, x: Tensor, angles: Tensor) {
  const [rows = 0, columns = 0] = x.shape.slice(-2);
  const width = angles.shape.at(-1) ?? 0;
  const perEntry = angles.rank === 3;
  const fits =
    x.rank >= 2 &&
    angles.shape.at(-2) === rows &&
    width % 2 === 0 &&
    width <= columns &&
    (angles.rank === 2 || (perEntry && x.rank >= 3 && angles.shape[0] === x.shape[0]));
  if (!fits) {
    throw new ShapeError(
      `${who}: x must be [...,L,D] and angles [L,R] or [B,L,R], with R even, R ≤ D and B the first axis of x; ` +
        `got x=${show(x.shape)}, angles=${show(angles.shape)}.`,
    );
  }
  const tables = perEntry ? x.shape[0]! : 1;
  return { tables, matrices: sizeOf(x.shape.slice(0, -2)) / tables, rows, columns, half: width / 2 };
}
