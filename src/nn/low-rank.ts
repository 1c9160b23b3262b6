import { constantOf, learned, normalOf } from '../attention/parameters.js';
import { checkValues, positive, wholeFrom } from '../core/requirements.js';
import { matmul, mul } from '../ops/index.js';
import { scope, type Tensor } from '../tensor/index.js';
import { checkShape } from '../core/shape.js';
import { Module } from './module.js';
import type { Parameter } from './parameter.js';
import { checkRows } from './rows.js';
import { storedAs } from './stored.js';

export interface LowRankOptions {
  /** r, inner size. */
  readonly rank: number;
  /** The change is `alpha / r` times the product. */
  readonly alpha: number;
}

/**
 * A change of a linear layer that few weights make: `alpha/r · x·A·B` with `a [in, r]` from N(0, 1/in) and `b [r, out]` from zeros, so that
 * it begins as no change. (Hu et al. 2021, "LoRA", arXiv 2106.09685, section 4.1.)
 *
 * @throws OptionError for a rank that is not a whole number of at least 1, or an alpha that is not above 0.
 */
export class LowRank extends Module {
  readonly a: Parameter;
  readonly b: Parameter;
  readonly scale: number;

  constructor(inputs: number, outputs: number, options: LowRankOptions) {
    super();
    checkValues('LowRank', options, { rank: wholeFrom(1), alpha: positive }, ['rank', 'alpha']);
    checkShape('LowRank', [inputs, outputs]);
    const { rank, alpha } = options;
    this.scale = alpha / rank;
    this.a = this.parameter('a', learned([inputs, rank], normalOf(1 / Math.sqrt(inputs))));
    this.b = this.parameter('b', learned([rank, outputs], constantOf(0)));
  }

  /** `alpha/r · x·A·B` of rows `x [N, in]`, stored as x is. */
  forward(x: Tensor): Tensor {
    checkRows('LowRank', this, x, this.a.spec.shape[0]!);
    return scope(() => matmul(mul(matmul(x, this.a.value, storedAs(x)), this.scale), this.b.value, storedAs(x)));
  }

  /** `alpha/r · A·B`, `[in, out]`, f32. */
  product(): Tensor {
    return scope(() => mul(matmul(this.a.value, this.b.value), this.scale));
  }
}
