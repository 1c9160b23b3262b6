import { constantOf, learned, learnedMatrix, normalOf, type Initialiser } from '../attention/parameters.js';
import { callable, checkValue, checkValues, flag } from '../core/requirements.js';
import { checkShape } from '../core/shape.js';
import { matmul, type Scalar } from '../ops/index.js';
import type { Tensor } from '../tensor/index.js';
import { Module } from './module.js';
import type { Parameter } from './parameter.js';
import { checkRows, rowsOf } from './rows.js';
import { storedAs } from './stored.js';

export interface LinearOptions {
  /** Whether there is a bias `[out]`, which begins as zeros; default true. */
  readonly bias?: boolean;
  /** Of the weight; default N(0, 1/in). */
  readonly init?: Initialiser;
}

/**
 * `x·weight + bias`: `[..., in] → [..., out]` with `weight [in, out]`.
 *
 * The weight begins as N(0, 1/in), so that outputs have the variance of the inputs. (LeCun, Bottou, Orr, Müller 1998, "Efficient
 * BackProp", section 4.6. GPT-2 draws all weights from N(0, 0.02²): `init: normalOf(0.02)`.)
 *
 * @throws ShapeError for sizes that are not whole numbers of at least 1; OptionError for an unknown option.
 */
export class Linear extends Module {
  readonly weight: Parameter;
  readonly bias: Parameter | undefined;

  constructor(
    readonly inputs: number,
    readonly outputs: number,
    options: LinearOptions = {},
  ) {
    super();
    checkValues('Linear', options, { bias: flag, init: callable });
    checkShape('Linear', [inputs, outputs]);
    const { bias = true, init = normalOf(1 / Math.sqrt(inputs)) } = options;
    this.weight = this.parameter('weight', learnedMatrix([inputs, outputs], init));
    this.bias = bias ? this.parameter('bias', learned([outputs], constantOf(0))) : undefined;
  }

  /**
   * `activation(x·weight + bias)`; without an activation, the sums. Computed in f32 and stored as x is.
   *
   * @throws ShapeError unless x is `[..., in]`; OptionError for integers.
   */
  forward(x: Tensor, activation?: Scalar): Tensor {
    checkRows('Linear', this, x, this.inputs);
    if (activation !== undefined) checkValue('Linear', 'activation', activation, callable);
    const given = { ...(this.bias && { bias: this.bias.value }), ...(activation && { activation }) };
    const options = { ...given, ...storedAs(x) };
    return rowsOf(x, (rows) => matmul(rows, this.weight.value, options));
  }
}
