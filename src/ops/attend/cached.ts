import type { Expression } from '../../codegen/expression/index.js';
import type { AttendShape } from '../../masks/index.js';
import { scope } from '../../tensor/scope.js';
import type { Tensor } from '../../tensor/tensor.js';
import { forward, type AttendValues } from './forward.js';
import { onDevice } from './on-device.js';
import { planAttend } from './plan.js';
import { attendNewest } from './query.js';

export interface CachedCall {
  /** `[B, H, L, D]` */
  readonly q: Tensor;
  /** `[B, G, C, D]` and `[B, G, C, E]`: room for C rows a head. */
  readonly k: Tensor;
  readonly v: Tensor;
  /** Rows of each head that are attended to, the first of its room. */
  readonly length: number;
  /** The same for the kernel, i32 `[B]`; read where there is one query. */
  readonly lengths: Tensor;
  /** Over b, h, q and k, as of `attend`: a query's position is its row + `length` − L. */
  readonly mask: Expression | null;
  readonly score: Expression | undefined;
  readonly scale: number;
  /** What positions the expressions are for, where those of the call are among them; one for all steps of a sequence. */
  readonly positions?: AttendShape;
  /** Whether values hold NaN or Inf, as of `nonFinite`; read where a mask or the score hides pairs. */
  readonly flags: Tensor;
}

/**
 * `attend` over the first rows of a larger room, where they lie. f32, without gradients; inputs are known to fit. One query a head
 * has a kernel of its own, which reads `lengths`.
 */
export function attendCached(call: CachedCall): AttendValues {
  const { q, k, v, length, lengths, mask, score, scale, positions, flags } = call;
  const [B, H, L, D] = q.shape as [number, number, number, number];
  const [, G, , E] = v.shape as [number, number, number, number];
  const shape = { B, H, G, L, S: length };
  if (L === 1)
    return attendNewest({ q, k, v, lengths, most: length, mask, score, scale, positions: positions ?? shape, flags });
  return scope(() => {
    const plan = planAttend(shape, mask, score, { D, E, dropout: false, ...(positions && { positions }) });
    const parts = onDevice(plan, q.device);
    return forward({ parts, scale, dropout: undefined, flags }, { q, k, v });
  });
}
