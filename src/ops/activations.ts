import { select, type F32 } from '../codegen/expression/index.js';
import { checkOptions, OptionError } from '../core/errors.js';
import type { Tensor } from '../tensor/index.js';
import { argument, mapNamed } from './map.js';

// Activations as expressions, so that fused kernels can use them too. Each is written so that value and derivative stay
// finite for every x up to 1e18 in size.

/** `1 / (1 + e^−x)`, by the exponential that cannot overflow. */
export function sigmoidOf(x: F32): F32 {
  const small = x.abs().neg().exp();
  return select(x.lt(0), small, 1).div(small.add(1));
}
/** `max(x, 0)`; a NaN stays. */
export const reluOf = (x: F32): F32 => select(x.le(0), 0, x);
export const siluOf = (x: F32): F32 => x.mul(sigmoidOf(x));
export const geluOf = (x: F32): F32 => x.mul(0.5).mul(x.mul(Math.SQRT1_2).erf().add(1));
export const geluTanhOf = (x: F32): F32 =>
  x.mul(0.5).mul(
    x
      .add(x.mul(x).mul(x).mul(0.044715))
      .mul(Math.sqrt(2 / Math.PI))
      .tanh()
      .add(1),
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
  checkOptions('gelu', options, ['approximate']);
  const { approximate = 'none' } = options;
  if (approximate !== 'none' && approximate !== 'tanh') {
    throw new OptionError(`gelu: approximate must be "none" or "tanh"; got ${JSON.stringify(approximate)}.`);
  }
  return mapNamed('gelu', expressions.gelu[approximate], [x]);
}
