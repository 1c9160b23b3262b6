import { constantOf, learned } from '../attention/parameters.js';
import { checkValues, flag, positive } from '../core/requirements.js';
import { checkShape } from '../core/shape.js';
import { add, layerNorm, rmsNorm } from '../ops/index.js';
import { NORM_EPSILON } from '../ops/normalise.js';
import { commonDevice, scope, type Tensor } from '../tensor/index.js';
import { Module } from './module.js';
import type { Parameter } from './parameter.js';
import { storedAs } from './stored.js';

export interface RmsNormOptions {
  /** Added to the mean square or variance; default 1e-5. */
  readonly epsilon?: number;
  /** Whether the parameter is what is added to 1: `weight` is then `1 + parameter`, which begins as zeros (Gemma). Default false. */
  readonly centred?: boolean;
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
  readonly centred: boolean;

  constructor(features: number, options: LayerNormOptions = {}) {
    super();
    checkValues('LayerNorm', options, { epsilon: positive, bias: flag, centred: flag });
    checkShape('LayerNorm', [features]);
    const { epsilon = NORM_EPSILON, bias = true, centred = false } = options;
    this.epsilon = epsilon;
    this.centred = centred;
    this.weight = this.parameter('weight', learned([features], constantOf(centred ? 0 : 1)));
    this.bias = bias ? this.parameter('bias', learned([features], constantOf(0))) : undefined;
  }

  forward(x: Tensor): Tensor {
    commonDevice('LayerNorm', [x]);
    const { bias, epsilon } = this;
    return scope(() =>
      layerNorm(x, { weight: factorOf(this), epsilon, ...(bias && { bias: bias.value }), ...storedAs(x) }),
    );
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
  readonly centred: boolean;

  constructor(features: number, options: RmsNormOptions = {}) {
    super();
    checkValues('RmsNorm', options, { epsilon: positive, centred: flag });
    checkShape('RmsNorm', [features]);
    const { epsilon = NORM_EPSILON, centred = false } = options;
    this.epsilon = epsilon;
    this.centred = centred;
    this.weight = this.parameter('weight', learned([features], constantOf(centred ? 0 : 1)));
  }

  forward(x: Tensor): Tensor {
    commonDevice('RmsNorm', [x]);
    return scope(() => rmsNorm(x, { weight: factorOf(this), epsilon: this.epsilon, ...storedAs(x) }));
  }
}

/** What normalised rows are multiplied by. */
const factorOf = ({ weight, centred }: Pick<RmsNorm, 'weight' | 'centred'>): Tensor =>
  centred ? add(weight.value, 1) : weight.value;
