import { F32, select } from '../codegen/expression/index.js';
import { describe } from '../core/describe.js';
import { OptionError } from '../core/errors.js';
import { checkValues, oneOf } from '../core/requirements.js';
import type { Tensor } from '../tensor/index.js';
import { argument, mapNamed } from './map.js';

// Activations as expressions, so that fused kernels can use them too. Each is written so that value and derivative stay
// finite for every x up to 1e18 in size.

/** `f`, which refuses what is not an f32 expression, such as a tensor: those take `relu` and the like. */
function expressionOf(who: string, f: (x: F32) => F32): (x: F32) => F32 {
  return (x) => {
    if (!(x instanceof F32)) throw new OptionError(`${who}: takes an f32 expression; got ${describe(x)}.`);
    return f(x);
  };
}

/** `1 / (1 + e^−x)`, by the exponential that cannot overflow. */
export const sigmoidOf = expressionOf('sigmoidOf', (x) => {
  const small = x.abs().neg().exp();
  return select(x.lt(0), small, 1).div(small.add(1));
});
/** `max(x, 0)`; a NaN stays. */
export const reluOf = expressionOf('reluOf', (x) => select(x.le(0), 0, x));
export const siluOf = expressionOf('siluOf', (x) => x.mul(sigmoidOf(x)));
export const geluOf = expressionOf('geluOf', (x) => x.mul(0.5).mul(x.mul(Math.SQRT1_2).erf().add(1)));
export const geluTanhOf = expressionOf('geluTanhOf', (x) =>
  x.mul(0.5).mul(
    x
      .add(x.mul(x).mul(x).mul(0.044715))
      .mul(Math.sqrt(2 / Math.PI))
      .tanh()
      .add(1),
  ),
);

const x0 = argument(0);
const expressions = {
  tanh: x0.tanh(),
  sigmoid: sigmoidOf(x0),
  relu: reluOf(x0),
  silu: siluOf(x0),
  gelu: { none: geluOf(x0), tanh: geluTanhOf(x0) },
} as const;

/** Hyperbolic tangent. */
export const tanh = (x: Tensor): Tensor => mapNamed('tanh', expressions.tanh, [x]);

/** `1 / (1 + e^−x)`. */
export const sigmoid = (x: Tensor): Tensor => mapNamed('sigmoid', expressions.sigmoid, [x]);

/** `max(x, 0)`; a NaN stays, the gradient at 0 is 0. */
export const relu = (x: Tensor): Tensor => mapNamed('relu', expressions.relu, [x]);

/** `x · sigmoid(x)` (Elfwing, Uchibe, Doya 2017, arXiv 1702.03118). */
export const silu = (x: Tensor): Tensor => mapNamed('silu', expressions.silu, [x]);

export interface GeluOptions {
  /** `'tanh'` is the approximation that GPT-2 and BERT checkpoints were trained with; default `'none'`. */
  readonly approximate?: 'none' | 'tanh';
}

/**
 * `x · Φ(x) = x/2 · (1 + erf(x/√2))` (Hendrycks, Gimpel 2016, arXiv 1606.08415), or its approximation
 * `x/2 · (1 + tanh(√(2/π)·(x + 0.044715·x³)))`.
 *
 * @throws OptionError for an unknown option.
 */
export function gelu(x: Tensor, options: GeluOptions = {}): Tensor {
  checkValues('gelu', options, { approximate: oneOf(['none', 'tanh']) });
  const { approximate = 'none' } = options;
  return mapNamed('gelu', expressions.gelu[approximate], [x]);
}
