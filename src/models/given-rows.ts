import { isFloat } from '../core/dtype.js';
import { CapabilityError, ShapeError } from '../core/errors.js';
import { show } from '../core/shape.js';
import { Module, type Parameter } from '../nn/index.js';
import { cast } from '../ops/index.js';
import type { Tensor } from '../tensor/index.js';

/** In place of an embedding, where rows `[B, L, features]` come embedded already. */
export class GivenRows extends Module {
  constructor(readonly features: number) {
    super();
  }

  /** There is none. @throws CapabilityError always. */
  get weight(): Parameter {
    throw new CapabilityError('model: has no table of tokens: rows come embedded (embedding.given).');
  }

  /** @throws ShapeError for what are no such rows. */
  forward(rows: Tensor): Tensor {
    if (rows.rank === 3 && rows.shape[2] === this.features && isFloat(rows.dtype)) return cast(rows, 'f32');
    throw new ShapeError(
      `model: takes rows [B,L,${this.features}] in place of tokens (embedding.given); got ${rows.dtype}${show(rows.shape)}.`,
    );
  }
}
