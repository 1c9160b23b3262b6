import type { Expression, F32 } from '../codegen/expression/index.js';
import { OptionError } from '../core/errors.js';
import { memoised } from '../core/memo.js';
import { unknown } from '../core/names.js';
import { geluOf, geluTanhOf, reluOf, siluOf } from '../ops/index.js';
import { argument, mapNamed } from '../ops/map.js';
import type { Tensor } from '../tensor/index.js';

const square = (x: F32): F32 => x.mul(x);

/** Activations by name: each a function of one number, which fused products take too. */
export const activations = {
  /** `x·Φ(x)` (Hendrycks, Gimpel 2016, arXiv 1606.08415). */
  gelu: geluOf,
  /** GELU by a hyperbolic tangent, as GPT-2 and BERT have it. */
  'gelu-tanh': geluTanhOf,
  /** `x·sigmoid(x)` (Elfwing, Uchibe, Doya 2017, arXiv 1702.03118). */
  silu: siluOf,
  /** `max(x, 0)`. */
  relu: reluOf,
  /** `max(x, 0)²` (So et al. 2021, "Primer", arXiv 2109.08668). */
  'relu-squared': (x) => square(reluOf(x)),
  /** Hyperbolic tangent, as the pooler of BERT has it. */
  tanh: (x) => x.tanh(),
} as const satisfies Readonly<Record<string, (x: F32) => F32>>;

export type ActivationName = keyof typeof activations;

/** @throws OptionError for a name that is none. */
export function checkActivation(who: string, name: string): ActivationName {
  if (typeof name === 'string' && Object.hasOwn(activations, name)) return name as ActivationName;
  throw new OptionError(`${who}: ${unknown('activation', [name], Object.keys(activations))}.`);
}

// one expression per name, so that its derivative and its kernels are found again
const plain = memoised((name: ActivationName): Expression => activations[name](argument(0)));
const gates = memoised((name: ActivationName): Expression => activations[name](argument(0)).mul(argument(1)));

/** The activation of every element. @throws OptionError for a name that is none. */
export function activate(x: Tensor, name: ActivationName): Tensor {
  checkActivation('activate', name);
  return mapNamed(name, plain(name), [x]);
}

/**
 * `activation(x) · y`, element by element: the gated linear unit, SwiGLU with `silu`, GEGLU with `gelu` (Shazeer 2020, arXiv
 * 2002.05202).
 *
 * @throws OptionError for a name that is none; ShapeError when x and y do not broadcast.
 */
export function gate(x: Tensor, y: Tensor, name: ActivationName): Tensor {
  checkActivation('gate', name);
  return mapNamed(`gate ${name}`, gates(name), [x, y]);
}
