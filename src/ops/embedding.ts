import { OptionError, ShapeError } from '../core/errors.js';
import { show } from '../core/shape.js';
import { isFloat } from '../core/dtype.js';
import { commonDevice, type Tensor } from '../tensor/index.js';
import { gatherNamed } from './gather.js';

/**
 * Rows of a table: `out[…, :] = table[indices[…], :]` for `table [V, D]` and `indices` i32 of any shape, giving
 * `[...indices, D]`. The gradient of a row is the sum over the places it was read, in order.
 *
 * @throws ShapeError when `table` is not `[V, D]`.
 * @throws OptionError naming the first index outside `0 … V−1` and its position; for a table that is not of floats.
 *
 * @example
 * const table = tensor([1, 2, 3, 4], [2, 2], { device });
 * embedding(table, tensor(Int32Array.of(1, 1), [2], { device })); // [[3, 4], [3, 4]]
 */
export function embedding(table: Tensor, indices: Tensor): Tensor {
  commonDevice('embedding', [table, indices]);
  if (table.rank !== 2) {
    throw new ShapeError(
      `embedding: table must be [V,D]; got table=${show(table.shape)}, indices=${show(indices.shape)}.`,
    );
  }
  if (!isFloat(table.dtype)) {
    throw new OptionError(`embedding: table must be f32, f16 or bf16; got ${table.dtype}. Use gather for integers.`);
  }
  return gatherNamed('embedding', table, indices, 0, 'table');
}
