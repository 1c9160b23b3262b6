import { constantOf, learned, learnedMatrix, normalOf, type Initialiser } from '../attention/parameters.js';
import { callable, checkValue, checkValues, flag } from '../core/requirements.js';
import { checkShape } from '../core/shape.js';
import { add, cast, map, matmul, type Scalar } from '../ops/index.js';
import { scope, type Tensor } from '../tensor/index.js';
import { LowRank, type LowRankOptions } from './low-rank.js';
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
  #adapter: LowRank | undefined;

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
    const bias = this.bias && { bias: this.bias.value };
    const adapter = this.#adapter;
    if (adapter === undefined) {
      const options = { ...bias, ...(activation && { activation }), ...storedAs(x) };
      return rowsOf(x, (rows) => matmul(rows, this.weight.value, options));
    }
    return rowsOf(x, (rows) =>
      scope(() => {
        const sums = add(matmul(rows, this.weight.value, { ...bias, ...storedAs(x) }), adapter.forward(rows));
        return activation ? map(activation, sums) : sums;
      }),
    );
  }

  /**
   * Adds a change of low rank, `lora`, which is trained beside the weight.
   *
   * @throws OptionError where there is one, or as `LowRank`.
   */
  adapt(options: LowRankOptions): void {
    this.#adapter = this.child('lora', new LowRank(this.inputs, this.outputs, options));
  }

  /** Adds the change of low rank to the weight and takes it away; without one, nothing happens. */
  merge(): void {
    const adapter = this.#adapter;
    if (adapter === undefined) return;
    scope(() => this.weight.set(add(cast(this.weight.value, 'f32'), adapter.product())));
    this.remove('lora');
    adapter.dispose();
    this.#adapter = undefined;
  }
}
