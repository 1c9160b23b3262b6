import { constantOf, drawn, learned } from '../attention/parameters.js';
import { withoutPadding } from '../attention/patterns/without-padding.js';
import { ShapeError } from '../core/errors.js';
import { checkValue, checkValues, flag, fraction, listOfNumbers, positive } from '../core/requirements.js';
import { checkShape, show } from '../core/shape.js';
import { cast, map, mul, reshape, square, sub, sum } from '../ops/index.js';
import { NORM_EPSILON } from '../ops/normalise.js';
import { scope, type Tensor } from '../tensor/index.js';
import { Module } from './module.js';
import type { Outcome } from './outcome.js';
import type { Parameter } from './parameter.js';
import { checkRows } from './rows.js';

export interface BatchNormOptions {
  /** Added to the variance; default 1e-5. */
  readonly epsilon?: number;
  /** Share of the moving mean and variance that a step replaces; default 0.1. */
  readonly momentum?: number;
  /** Whether training too normalises by the moving ones, those of the steps before: no row then sees another. Default false. */
  readonly past?: boolean;
}

/**
 * `(x − mean) / √(variance + epsilon) · weight + bias`, where mean and variance are of each column over all real rows of the batch; outside of
 * training they are the moving ones, which a step of training brings nearer (`Outcome.updates`). (Ioffe, Szegedy 2015, arXiv 1502.03167:
 * the moving variance is the unbiased one.) In a causal model rows would see later ones by the statistics: `past` takes those of the
 * steps before.
 *
 * @throws ShapeError unless features is a whole number of at least 1; OptionError for an unknown option.
 */
export class BatchNorm extends Module {
  readonly weight: Parameter;
  readonly bias: Parameter;
  readonly mean: Parameter;
  readonly variance: Parameter;
  readonly #settings: Required<BatchNormOptions>;

  constructor(
    readonly features: number,
    options: BatchNormOptions = {},
  ) {
    super();
    checkValues('BatchNorm', options, { epsilon: positive, momentum: fraction, past: flag });
    checkShape('BatchNorm', [features]);
    this.#settings = { epsilon: NORM_EPSILON, momentum: 0.1, past: false, ...options };
    this.weight = this.parameter('weight', learned([features], constantOf(1)));
    this.bias = this.parameter('bias', learned([features], constantOf(0)));
    this.mean = this.parameter('mean', drawn([features], constantOf(0)));
    this.variance = this.parameter('variance', drawn([features], constantOf(1)));
  }

  /**
   * Of x `[B, L, features]`, or `[L, features]` with lengths left out; f32. Rows from `lengths[b]` on are padding, and not counted.
   *
   * @throws ShapeError for another x, or lengths that are not one for each sequence.
   */
  forward(x: Tensor, lengths?: readonly number[]): Outcome {
    checkRows('BatchNorm', this, x, this.features);
    if (lengths !== undefined) checkValue('BatchNorm', 'lengths', lengths, listOfNumbers);
    if (lengths !== undefined && (x.rank !== 3 || lengths.length !== x.shape[0])) {
      throw new ShapeError(
        `${`BatchNorm ${this.path}`.trim()}: lengths must be one for each of [B,L,${this.features}]; got ${lengths.length} for ${show(x.shape)}.`,
      );
    }
    return scope(() => {
      const { past, momentum } = this.#settings;
      const rows = cast(x, 'f32');
      const moving = { mean: this.mean.value, variance: this.variance.value };
      if (this.training === undefined) return { stream: this.#normalised(rows, moving) };
      const count = lengths?.reduce((total, length) => total + length, 0) ?? x.size / this.features;
      const found = statistics(rows, lengths, count);
      const nearer = (of: Parameter, value: Tensor, factor: number): [Parameter, Tensor] => [
        of,
        map((a, b) => a.mul(1 - momentum).add(b.mul(momentum * factor)), of.value, reshape(value, [this.features])),
      ];
      return {
        stream: this.#normalised(rows, past ? moving : found),
        updates: new Map([
          nearer(this.mean, found.mean, 1),
          nearer(this.variance, found.variance, count / Math.max(1, count - 1)),
        ]),
      };
    });
  }

  #normalised(rows: Tensor, { mean, variance }: Statistics): Tensor {
    const { epsilon } = this.#settings;
    const { weight, bias } = this;
    return map(
      (a, centre, spread, w, b) => a.sub(centre).div(spread.add(epsilon).sqrt()).mul(w).add(b),
      rows,
      mean,
      variance,
      weight.value,
      bias.value,
    );
  }
}

interface Statistics {
  readonly mean: Tensor;
  readonly variance: Tensor;
}

/** Of each column, over `count` rows. */
function statistics(rows: Tensor, lengths: readonly number[] | undefined, count: number): Statistics {
  const axes = rows.shape.slice(0, -1).map((_, axis) => axis);
  const meanOf = (values: Tensor): Tensor => mul(sum(values, { axes, keepDims: true }), 1 / Math.max(1, count));
  const mean = meanOf(withoutPadding(rows, lengths));
  return { mean, variance: meanOf(square(withoutPadding(sub(rows, mean), lengths))) };
}
