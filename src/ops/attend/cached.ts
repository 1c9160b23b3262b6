import type { Expression } from '../../codegen/expression/index.js';
import type { AttendShape } from '../../masks/index.js';
import { cast } from '../cast.js';
import { slice } from '../shape.js';
import { scope } from '../../tensor/scope.js';
import type { Tensor } from '../../tensor/tensor.js';
import { forward, type AttendValues } from './forward.js';
import { onDevice } from './on-device.js';
import { planAttend } from './plan.js';

export interface CachedCall {
  /** `[B, H, L, D]` */
  readonly q: Tensor;
  /** `[B, G, C, D]` and `[B, G, C, E]`: room for C rows a head. */
  readonly k: Tensor;
  readonly v: Tensor;
  /** Rows of each head that are attended to, the first of its room. */
  readonly length: number;
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
 * `attend` over the first rows of a larger room, where they lie if they are f32. Without gradients; inputs are known to fit. For one
 * query a head there is `attendNewest`.
 */
export function attendCached(call: CachedCall): AttendValues {
  const { q, length, mask, score, scale, positions, flags } = call;
  const [B, H, L, D] = q.shape as [number, number, number, number];
  const [, G, , E] = call.v.shape as [number, number, number, number];
  const shape = { B, H, G, L, S: length };
  return scope(() => {
    const [k, v] = [call.k, call.v].map((x) =>
      x.dtype === 'f32' ? x : cast(slice(x, { axis: 2, end: length }), 'f32'),
    ) as [Tensor, Tensor];
    const plan = planAttend(shape, mask, score, { D, E, dropout: false, ...(positions && { positions }) });
    const parts = onDevice(plan, q.device);
    return forward({ parts, scale, dropout: undefined, flags }, { q, k, v });
  });
}
