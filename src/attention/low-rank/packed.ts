import { attend, broadcastTo, reshape } from '../../ops/index.js';
import type { Tensor } from '../../tensor/index.js';
import type { Call } from '../define.js';

/** What learned queries `[G, m, D]` find in the keys: means of `rows` `[B, G, S, columns]`, `[B, G, m, columns]`. */
export function packed({ k, scale, mask, shape: { B } }: Call, queries: Tensor, rows: Tensor): Tensor {
  const all = broadcastTo(reshape(queries, [1, ...queries.shape]), [B, ...queries.shape]);
  return attend(all, k, rows, { scale, ...(mask && { mask }) }).out;
}
