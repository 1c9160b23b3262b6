import {
  activations,
  Linear,
  Module,
  normOf,
  type ActivationName,
  type LayerNorm,
  type NormKind,
  type RmsNorm,
} from '../nn/index.js';
import { scope, type Tensor } from '../tensor/index.js';

export interface TransformOptions {
  readonly activation: ActivationName;
  /** Default true. */
  readonly bias?: boolean | undefined;
  /** Default none. */
  readonly norm?: { readonly kind: NormKind; readonly epsilon: number; readonly bias?: boolean } | undefined;
}

/** `norm(activation(h·W + b))`: what rows pass before logits are made of them, as in BERT. */
export class Transform extends Module {
  readonly #dense: Linear;
  readonly #norm: LayerNorm | RmsNorm | undefined;

  constructor(
    inputs: number,
    outputs: number,
    readonly options: TransformOptions,
  ) {
    super();
    const { bias = true, norm } = options;
    this.#dense = this.child('dense', new Linear(inputs, outputs, { bias }));
    this.#norm = norm && this.child('norm', normOf(norm.kind, outputs, norm.epsilon, { bias: norm.bias }));
  }

  forward(rows: Tensor): Tensor {
    return scope(() => {
      const hidden = this.#dense.forward(rows, activations[this.options.activation]);
      return this.#norm?.forward(hidden) ?? hidden;
    });
  }
}
