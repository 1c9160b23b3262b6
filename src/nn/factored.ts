import { constantOf, learned, normalOf } from '../attention/parameters.js';
import { OptionError } from '../core/errors.js';
import { checkValues, wholeFrom } from '../core/requirements.js';
import { checkShape } from '../core/shape.js';
import { add, cast, concat, matmul, mul, pad, reshape, slice, transpose } from '../ops/index.js';
import { scope, type Tensor } from '../tensor/index.js';
import { Linear } from './linear.js';
import { Module } from './module.js';
import type { Parameter } from './parameter.js';
import { checkRows } from './rows.js';
import { storedAs } from './stored.js';

export interface FactoredOptions {
  /** S, parts of a row that share their weights. */
  readonly modules: number;
  /** κ, rows and modules that a convolution sees; odd. */
  readonly kernel: number;
}

export const factoredOptions = { modules: wholeFrom(1), kernel: wholeFrom(1) };

/** What sizes have against it, a sentence each. */
export function reasonsAgainstFactored(features: number, { modules, kernel }: FactoredOptions): string[] {
  return [
    features % modules !== 0 && `projection factored: modules ${modules} must divide the ${features} features`,
    kernel % 2 === 0 && `projection factored: kernel must be odd; got ${kernel}`,
  ].filter((reason) => reason !== false);
}

/**
 * Queries, keys and values of few weights: `[B, L, features] → [B, L, 3·features]`, side by side (Jaszczur et al. 2021, "Sparse is Enough in
 * Scaling Transformers", arXiv 2111.12763, section 3.2). Of S modules of M = features/S columns:
 *
 * - multiplicative: `u_s = (x ⊙ g_s)·P + b_s`, with `gates [S, features]` and one `P [features, M]`
 * - queries and keys convolve u over κ rows, the row itself and those before it, and κ modules, those beside one on both sides, with
 *   weights that all modules share; a module's values are of its own u: `u_s·W_v + b_v`
 *
 * S·features + features²/S weights in place of features², and (2κ² + 1)·M² of the convolutions. A row sees rows before it alone, in attention to
 * both sides too, so that padding behind a sequence changes nothing.
 *
 * @throws ShapeError or OptionError for sizes that are none, or an even kernel.
 */
export class FactoredProjection extends Module {
  readonly #gates: Parameter;
  readonly #product: Parameter;
  readonly #bias: Parameter;
  readonly #queryKey: Linear;
  readonly #value: Linear;

  constructor(
    readonly features: number,
    readonly options: FactoredOptions,
  ) {
    super();
    checkValues('FactoredProjection', options, factoredOptions, ['modules', 'kernel']);
    checkShape('FactoredProjection', [features]);
    const reasons = reasonsAgainstFactored(features, options);
    if (reasons.length > 0) throw new OptionError(`${reasons.join('; ')}.`);
    const { modules, kernel } = options;
    const size = features / modules;
    this.#gates = this.parameter('gates', learned([modules, features], normalOf(0.5)));
    // the gates halve a row
    this.#product = this.parameter('product', learned([features, size], normalOf(2 / Math.sqrt(features))));
    this.#bias = this.parameter('bias', learned([features], constantOf(0)));
    this.#queryKey = this.child('queryKey', new Linear(kernel ** 2 * size, 2 * size));
    this.#value = this.child('value', new Linear(size, size));
  }

  /** @throws ShapeError unless x is `[B, L, features]`. */
  forward(x: Tensor): Tensor {
    checkRows('FactoredProjection', this, x, this.features);
    const { features } = this;
    const [B, L] = x.shape as [number, number];
    const { modules } = this.options;
    const size = features / modules;
    return scope(() => {
      const parts = reshape(this.#multiplied(reshape(x, [B * L, features])), [B, L, modules, size]);
      const both = this.#queryKey.forward(this.#windows(parts)); // [B, L, S, 2M]
      const all = concat([both, this.#value.forward(parts)], { axis: 3 });
      const apart = transpose(reshape(all, [B, L, modules, 3, size]), [0, 1, 3, 2, 4]);
      return reshape(apart, [B, L, 3 * features]);
    });
  }

  /**
   * `(x ⊙ g_s)·P + b_s` of rows `[T, features]`, the modules side by side: of few rows as it stands, of many by a matrix of all g_s ⊙ P, so that
   * no row is kept S times. The two agree up to rounding.
   */
  #multiplied(rows: Tensor): Tensor {
    const { features } = this;
    const { modules } = this.options;
    const [T, size] = [rows.shape[0]!, features / modules];
    const [gates, product, bias] = [this.#gates.value, this.#product.value, this.#bias.value];
    if (T * modules <= features) {
      const gated = reshape(mul(reshape(rows, [T, 1, features]), gates), [T * modules, features]);
      return cast(add(reshape(matmul(gated, product), [T, features]), bias), rows.dtype);
    }
    const weight = mul(
      reshape(transpose(gates, [1, 0]), [features, modules, 1]),
      reshape(product, [features, 1, size]),
    );
    return matmul(rows, reshape(weight, [features, features]), { bias, ...storedAs(rows) });
  }

  /** What a convolution sees of `[B, L, S, M]`: `[B, L, S, κ²·M]`, the earliest row first, zeros beyond the ends. */
  #windows(parts: Tensor): Tensor {
    const { kernel } = this.options;
    if (kernel === 1) return parts;
    const [, L, S] = parts.shape as [number, number, number];
    const beside = (kernel - 1) / 2;
    const padded = pad(parts, [
      [0, 0],
      [kernel - 1, 0],
      [beside, beside],
      [0, 0],
    ]);
    const seen = Array.from({ length: kernel ** 2 }, (_, i) => {
      const [row, module] = [Math.floor(i / kernel), i % kernel];
      return slice(slice(padded, { axis: 1, start: row, end: row + L }), { axis: 2, start: module, end: module + S });
    });
    return concat(seen, { axis: 3 });
  }
}
