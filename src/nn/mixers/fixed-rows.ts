import { firstOf } from '../../attention/low-rank/padding.js';
import { ShapeError } from '../../core/errors.js';
import type { Tensor } from '../../tensor/index.js';

/**
 * The part of weights over rows that `rows` rows take: the first of each of `axes`, all of which have the extent that the layer was made for. So
 * a short sequence is a long one whose last rows are zeros.
 *
 * @throws ShapeError for more rows than there are weights for.
 */
export function weightsOf(who: string, weight: Tensor, axes: readonly number[], rows: number): Tensor {
  const most = weight.shape.at(axes[0]!)!;
  if (rows > most) {
    throw new ShapeError(`${who}: has weights for ${most} rows; got ${rows}. Make the layer for as many, or cut them.`);
  }
  return axes.reduce((part, axis) => firstOf(part, axis, rows), weight);
}
