import { ShapeError } from '../core/errors.js';
import { sameShape, show } from '../core/shape.js';
import { Embedding, Linear, Module, normOf, type LayerNorm, type RmsNorm } from '../nn/index.js';
import { add, reshape, slice } from '../ops/index.js';
import { scope, type Tensor } from '../tensor/index.js';
import type { ModelConfig } from './model-config.js';

/** What becomes of embedded tokens before the first layer: the section `embedding` of a configuration. */
export class Entry extends Module {
  readonly #types: Embedding | undefined;
  readonly #norm: LayerNorm | RmsNorm | undefined;
  readonly #projection: Linear | undefined;

  constructor({ width, embedding = {}, norm: { epsilon, bias } }: ModelConfig) {
    super();
    const { types, norm, width: given, adaptive } = embedding;
    // an adaptive embedding gives rows of the model's width
    const own = adaptive ? undefined : given;
    this.#types = types === undefined ? undefined : this.child('types', new Embedding(types, own ?? width));
    this.#norm = norm && this.child('norm', normOf(norm, own ?? width, epsilon, { bias }));
    this.#projection = own === undefined ? undefined : this.child('projection', new Linear(own, width));
  }

  /** Rows `[B, L, F]` with those of `types [B, L]` added, default type 0; for a model that has types. @throws ShapeError for others. */
  typed(rows: Tensor, types: Tensor | undefined): Tensor {
    const [B, L, F] = rows.shape as [number, number, number];
    if (types === undefined) {
      return scope(() => add(rows, reshape(slice(this.#types!.weight.value, { end: 1 }), [F])));
    }
    if (!sameShape(types.shape, [B, L])) {
      throw new ShapeError(`model: types must be as the tokens, [${B},${L}]; got ${show(types.shape)}.`);
    }
    return scope(() => add(rows, this.#types!.forward(types)));
  }

  normalised(rows: Tensor): Tensor {
    return this.#norm?.forward(rows) ?? rows;
  }

  /** `[B, L, width]`. */
  projected(rows: Tensor): Tensor {
    return this.#projection?.forward(rows) ?? rows;
  }
}
