import { constantOf, learned } from '../attention/parameters.js';
import { checkValues, flag, positive } from '../core/requirements.js';
import { checkShape } from '../core/shape.js';
import { layerNorm, rmsNorm } from '../ops/index.js';
import { NORM_EPSILON } from '../ops/normalise.js';
import { commonDevice, type Tensor } from '../tensor/index.js';
import { Module } from './module.js';
import type { Parameter } from './parameter.js';
import { storedAs } from './stored.js';

export interface RmsNormOptions {
  /** Added to the mean square or variance; default 1e-5. */
  readonly epsilon?: number;
}
export interface LayerNormOptions extends RmsNormOptions {
  /** Whether a bias is added; default true. */
  readonly bias?: boolean;
}

/**
 * `(x − mean) / √(variance + epsilon) · weight + bias` over the last axis (Ba, Kiros, Hinton 2016, arXiv 1607.06450). `weight
 * [features]` begins as ones, `bias [features]` as zeros. Computed in f32 and stored as x is.
 *
 * @throws ShapeError unless features is a whole number of at least 1; OptionError for an unknown option.
 */
export class LayerNorm extends Module {
  readonly weight: Parameter;
  readonly bias: Parameter | undefined;
  readonly epsilon: number;

  constructor(features: number, options: LayerNormOptions = {}) {
    super();
    checkValues('LayerNorm', options, { epsilon: positive, bias: flag });
    checkShape('LayerNorm', [features]);
    const { epsilon = NORM_EPSILON, bias = true } = options;
    this.epsilon = epsilon;
    this.weight = this.parameter('weight', learned([features], constantOf(1)));
    this.bias = bias ? this.parameter('bias', learned([features], constantOf(0))) : undefined;
  }

  forward(x: Tensor): Tensor {
    commonDevice('LayerNorm', [x]);
    const { weight, bias, epsilon } = this;
    return layerNorm(x, { weight: weight.value, epsilon, ...(bias && { bias: bias.value }), ...storedAs(x) });
  }
}

/**
 * `x / √(mean(x²) + epsilon) · weight` over the last axis (Zhang, Sennrich 2019, arXiv 1910.07467). `weight [features]` begins
 * as ones. Computed in f32 and stored as x is.
 *
 * @throws as `LayerNorm` does.
 */
export class RmsNorm extends Module {
  readonly weight: Parameter;
  readonly epsilon: number;

  constructor(features: number, options: RmsNormOptions = {}) {
    super();
    checkValues('RmsNorm', options, { epsilon: positive });
    checkShape('RmsNorm', [features]);
    this.epsilon = options.epsilon ?? NORM_EPSILON;
    this.weight = this.parameter('weight', learned([features], constantOf(1)));
  }

  forward(x: Tensor): Tensor {
    commonDevice('RmsNorm', [x]);
    return rmsNorm(x, { weight: this.weight.value, epsilon: this.epsilon, ...storedAs(x) });
  }
}
