import { describe } from '../core/describe.js';
import { ShapeError } from '../core/errors.js';
import { checkList, show, stridesOf } from '../core/shape.js';
import { runCopy, type Walk } from '../tensor/copy.js';
import { commonDevice, empty, operation, produce, scope, zeros, type Tensor } from '../tensor/index.js';

/**
 * Columns of projections as heads: `x [B, L, Σ h_i · D]` → one tensor `[B, h_i, L, D]` for each of `heads`, each copied once.
 *
 * @throws ShapeError unless x is `[B, L, Σ h_i · D]` for some whole D.
 *
 * @example
 * const x = tensor([1, 2, 3, 4], [1, 2, 2], { device });
 * splitHeads(x, [1, 1])[1]; // [2, 4]
 */
export function splitHeads(x: Tensor, heads: readonly number[]): Tensor[] {
  const device = commonDevice('splitHeads', [x]);
  checkList('splitHeads', 'heads', heads);
  const all = heads.reduce((sum, count) => sum + count, 0);
  const [B = 0, L = 0, columns = 0] = x.shape;
  const D = columns / all;
  if (
    x.rank !== 3 ||
    !Number.isInteger(D) ||
    heads.length === 0 ||
    !heads.every((count) => Number.isInteger(count) && count > 0)
  ) {
    throw new ShapeError(
      `splitHeads: x must be [B,L,C] with C a multiple of the ${describe(all)} heads; got ${show(x.shape)}.`,
    );
  }
  let first = 0;
  const parts = heads.map((count) => {
    const start = first;
    first += count;
    return { shape: [B, count, L, D], within: { offset: start * D, steps: [L * columns, D, columns, 1] } };
  });
  return scope(() => {
    const outs = parts.map(({ shape, within }) =>
      produce(shape, x.dtype, device, (y) => runCopy(shape, x, within, y, whole(shape))),
    );
    operation('splitHeads', [x], outs, (cotangents) => {
      const complete = cotangents.every((d) => d !== undefined);
      const dx = complete ? empty(x.shape, 'f32', device) : zeros(x.shape, { device });
      parts.forEach(({ shape, within }, i) => {
        const d = cotangents[i];
        if (d !== undefined) runCopy(shape, d, whole(shape), dx, within);
      });
      return [dx];
    });
    return outs;
  });
}

const whole = (shape: readonly number[]): Walk => ({ offset: 0, steps: stridesOf(shape) });
