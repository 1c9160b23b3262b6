import type { FloatDtype } from '../core/dtype.js';
import { anything, callable, checkValue, checkValues, flag, oneOf, wholeFrom } from '../core/requirements.js';
import { add, cast, concat, slice } from '../ops/index.js';
import { NORM_EPSILON } from '../ops/normalise.js';
import { scope, type Tensor } from '../tensor/index.js';
import { Dropout } from './dropout.js';
import { Module } from './module.js';
import { LayerNorm, RmsNorm } from './norm.js';
import { outcomeOf, type Outcome } from './outcome.js';

export type NormKind = 'layer' | 'rms';

const norms = oneOf(['layer', 'rms']);

export interface NormParts {
  /** Whether a `'layer'` norm adds a bias; default true. An `'rms'` norm never does. */
  readonly bias?: boolean | undefined;
  /** Whether the parameter is what is added to 1; default false. */
  readonly centred?: boolean | undefined;
}

const ofNorm = { bias: flag, centred: flag };

/** @throws OptionError for another kind; as `LayerNorm`. */
export function normOf(
  kind: NormKind,
  features: number,
  epsilon = NORM_EPSILON,
  options: NormParts = {},
): LayerNorm | RmsNorm {
  checkValue('normOf', 'kind', kind, norms);
  checkValues('normOf', options, ofNorm);
  const { bias = true, centred = false } = options;
  return kind === 'layer'
    ? new LayerNorm(features, { epsilon, bias, centred })
    : new RmsNorm(features, { epsilon, centred });
}

/**
 * Where the norm of a branch f is: `'pre'`: `x + f(norm(x))` (Xiong et al. 2020, arXiv 2002.04745); `'post'`: `norm(x + f(x))` as in the
 * first Transformer; `'branch'`: `x + norm(f(x))` (OLMo 2, 2025, arXiv 2501.00656); `'both'`: `x + outNorm(f(norm(x)))` (Gemma 2, 2024,
 * arXiv 2408.00118).
 */
export type NormPlace = (typeof normPlaces)[number];
export const normPlaces = ['pre', 'post', 'branch', 'both'] as const;

export interface ResidualOptions extends NormParts {
  readonly norm: NormKind;
  readonly normPlace: NormPlace;
  readonly epsilon?: number | undefined;
  /** Rate at which what the branch adds is dropped in training. */
  readonly dropout: number;
  /**
   * Whether both branches of a layer read the stream before it, `x + f(norm(x)) + g(norm(x))`: `'one'` norm for both (GPT-J, Falcon), or
   * `'two'`, each its own (GPT-NeoX). Default: one branch after the other.
   */
  readonly parallel?: Parallel | undefined;
  /** Whether there is no norm at all: `x + f(x)`. Default false. */
  readonly bare?: boolean | undefined;
  /** Rows in front whose norm has weights of its own, `prefixNorm`; default 0. */
  readonly prefix?: number | undefined;
}

export const parallels = ['one', 'two'] as const;
export type Parallel = (typeof parallels)[number];

const requirements = {
  norm: norms,
  normPlace: oneOf(normPlaces),
  epsilon: anything,
  dropout: anything,
  parallel: oneOf(parallels),
  bare: flag,
  prefix: wholeFrom(0),
  ...ofNorm,
};

/** What a residual connection goes around. */
type Branch = (rows: Tensor) => Tensor | Outcome;

/**
 * What surrounds a branch f of a layer: a norm, dropout, and the sum with the stream x. The stream is f32; within the branch numbers
 * are stored in the precision given.
 */
export class Residual extends Module {
  readonly #norm: LayerNorm | RmsNorm | undefined;
  readonly #outNorm: LayerNorm | RmsNorm | undefined;
  readonly #prefixNorm: LayerNorm | RmsNorm | undefined;
  readonly #prefix: number;
  readonly #dropout: Dropout;
  readonly #place: NormPlace;

  constructor(features: number, options: ResidualOptions) {
    super();
    checkValues('Residual', options, requirements, ['norm', 'normPlace', 'dropout']);
    const { norm, normPlace, epsilon, dropout, bias, centred, bare = false, prefix = 0 } = options;
    this.#place = normPlace;
    const made = (): LayerNorm | RmsNorm => normOf(norm, features, epsilon, { bias, centred });
    const norms = made();
    this.#norm = bare ? undefined : this.child('norm', norms);
    this.#outNorm = normPlace === 'both' ? this.child('outNorm', made()) : undefined;
    this.#prefix = bare ? 0 : prefix;
    this.#prefixNorm = this.#prefix > 0 ? this.child('prefixNorm', made()) : undefined;
    this.#dropout = this.child('dropout', new Dropout(dropout));
  }

  /**
   * `x + f(norm(x))`, or as the place of the norm has it. `base` stands for x in the sum where f gives another number of rows.
   */
  forward(x: Tensor, f: Branch, precision: FloatDtype = 'f32', base = x): Outcome {
    checkValue('Residual', 'f', f, callable);
    return scope(() => {
      if (this.#place !== 'post') {
        const branch = this.branch(x, f, precision);
        return { ...branch, stream: add(base, branch.stream) };
      }
      const branch = this.#dropped(f(cast(x, precision)));
      return { ...branch, stream: this.#normed(add(base, branch.stream)) };
    });
  }

  /** What f is given for x: `norm(x)`, or x itself where the norm comes after. */
  given(x: Tensor, precision: FloatDtype = 'f32'): Tensor {
    return scope(() => {
      const rows = cast(x, precision);
      return this.#place === 'pre' || this.#place === 'both' ? this.#normed(rows) : rows;
    });
  }

  /** `f(norm(x))`, or as the place has it: what is added to a stream elsewhere, as in reversible layers. */
  branch(x: Tensor, f: Branch, precision: FloatDtype = 'f32'): Outcome {
    checkValue('Residual', 'f', f, callable);
    return scope(() => {
      const rows = cast(x, precision);
      return this.added(f(this.#place === 'branch' ? rows : this.#normed(rows)));
    });
  }

  /** What is added to a stream for what f gave: normalised where the norm comes after f, and dropped from in training. @internal */
  added(given: Tensor | Outcome): Outcome {
    return scope(() => {
      const outcome = outcomeOf('Residual', given);
      const after = this.#place === 'branch' ? this.#norm : this.#outNorm;
      return this.#dropped(after ? { ...outcome, stream: after.forward(outcome.stream) } : outcome);
    });
  }

  #normed(rows: Tensor): Tensor {
    if (this.#prefixNorm === undefined) return this.#norm?.forward(rows) ?? rows;
    const [first, rest] = [{ end: this.#prefix }, { start: this.#prefix }].map((at) => slice(rows, { axis: 1, ...at }));
    return concat([this.#prefixNorm.forward(first!), this.#norm!.forward(rest!)], { axis: 1 });
  }

  #dropped(given: Tensor | Outcome): Outcome {
    const outcome = outcomeOf('Residual: f', given);
    return { ...outcome, stream: this.#dropout.forward(outcome.stream) };
  }
}
