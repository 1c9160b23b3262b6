import type { FloatDtype } from '../core/dtype.js';
import { anything, callable, checkValue, checkValues, oneOf } from '../core/requirements.js';
import { add, cast } from '../ops/index.js';
import { NORM_EPSILON } from '../ops/normalise.js';
import { scope, type Tensor } from '../tensor/index.js';
import { Dropout } from './dropout.js';
import { Module } from './module.js';
import { LayerNorm, RmsNorm } from './norm.js';
import { outcomeOf, type Outcome } from './outcome.js';

export type NormKind = 'layer' | 'rms';

const norms = oneOf(['layer', 'rms']);

/** @throws OptionError for another kind; as `LayerNorm`. */
export function normOf(kind: NormKind, features: number, epsilon = NORM_EPSILON): LayerNorm | RmsNorm {
  checkValue('normOf', 'kind', kind, norms);
  return kind === 'layer' ? new LayerNorm(features, { epsilon }) : new RmsNorm(features, { epsilon });
}

export interface ResidualOptions {
  readonly norm: NormKind;
  /** `'pre'`: `x + f(norm(x))` (Xiong et al. 2020, arXiv 2002.04745); `'post'`: `norm(x + f(x))` as in the first Transformer. */
  readonly normPlace: 'pre' | 'post';
  readonly epsilon?: number | undefined;
  /** Rate at which what the branch adds is dropped in training. */
  readonly dropout: number;
}

const requirements = { norm: norms, normPlace: oneOf(['pre', 'post']), epsilon: anything, dropout: anything };

/** What a residual connection goes around. */
type Branch = (rows: Tensor) => Tensor | Outcome;

/**
 * What surrounds a branch f of a layer: a norm, dropout, and the sum with the stream x. The stream is f32; within the branch numbers
 * are stored in the precision given.
 */
export class Residual extends Module {
  readonly #norm: LayerNorm | RmsNorm;
  readonly #dropout: Dropout;
  readonly #place: 'pre' | 'post';

  constructor(features: number, options: ResidualOptions) {
    super();
    checkValues('Residual', options, requirements, ['norm', 'normPlace', 'dropout']);
    const { norm, normPlace, epsilon, dropout } = options;
    this.#place = normPlace;
    this.#norm = this.child('norm', normOf(norm, features, epsilon));
    this.#dropout = this.child('dropout', new Dropout(dropout));
  }

  /**
   * `x + f(norm(x))`, or `norm(x + f(x))`. `base` stands for x in the sum where f gives another number of rows.
   */
  forward(x: Tensor, f: Branch, precision: FloatDtype = 'f32', base = x): Outcome {
    checkValue('Residual', 'f', f, callable);
    return scope(() => {
      if (this.#place === 'pre') {
        const branch = this.branch(x, f, precision);
        return { ...branch, stream: add(base, branch.stream) };
      }
      const branch = this.#dropped(f(cast(x, precision)));
      return { ...branch, stream: this.#norm.forward(add(base, branch.stream)) };
    });
  }

  /** What f is given for x: `norm(x)`, or x itself where the norm comes after. */
  given(x: Tensor, precision: FloatDtype = 'f32'): Tensor {
    return scope(() => {
      const rows = cast(x, precision);
      return this.#place === 'pre' ? this.#norm.forward(rows) : rows;
    });
  }

  /** `f(norm(x))`: what is added to a stream elsewhere, as in reversible layers. */
  branch(x: Tensor, f: Branch, precision: FloatDtype = 'f32'): Outcome {
    checkValue('Residual', 'f', f, callable);
    return scope(() => this.#dropped(f(this.#norm.forward(cast(x, precision)))));
  }

  #dropped(given: Tensor | Outcome): Outcome {
    const outcome = outcomeOf('Residual: f', given);
    return { ...outcome, stream: this.#dropout.forward(outcome.stream) };
  }
}
