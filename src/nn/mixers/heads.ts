import { broadcastTo, cast, matmul, reshape, splitHeads, transpose } from '../../ops/index.js';
import type { Tensor } from '../../tensor/index.js';
import { storedAs } from '../stored.js';

/** A projection of rows as heads: `[B, L, F]` → `[B, heads, L, D]`. */
export const headsOf = (x: Tensor, weight: Tensor, heads: number, bias?: Tensor): Tensor =>
  splitHeads(matmul(x, weight, { ...(bias && { bias }), ...storedAs(x) }), [heads])[0]!;

/** Heads side by side again: `[B, heads, L, D]` → `[B, L, heads · D]`. */
export function joined(heads: Tensor): Tensor {
  const [B, H, L, D] = heads.shape as [number, number, number, number];
  return reshape(transpose(heads, [0, 2, 1, 3]), [B, L, H * D]);
}

/** Learned rows `[rows, F]` for every sequence of x, stored as x is: `[B, rows, F]`. */
export const learnedRows = (rows: Tensor, x: Tensor): Tensor =>
  broadcastTo(reshape(cast(rows, storedAs(x).dtype ?? 'f32'), [1, ...rows.shape]), [x.shape[0]!, ...rows.shape]);
