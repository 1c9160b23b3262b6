import type { Expression } from '../../codegen/expression/index.js';
import type { AttendShape } from '../../masks/index.js';
import { scope } from '../../tensor/scope.js';
import { share, type Tensor } from '../../tensor/tensor.js';
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

/** `attend` over the first rows of a larger room, where they lie. f32, without gradients; inputs are known to fit. */
export function attendCached(call: CachedCall): AttendValues {
  const { q, k, v, length, mask, score, scale, positions, flags } = call;
  const [B, H, L, D] = q.shape as [number, number, number, number];
  const [, G, , E] = v.shape as [number, number, number, number];
  return scope(() => {
    if (L === 1 && G < H && mask === null && score === undefined) {
      // the queries of a group see the same keys: as rows of one head they are read once
      const { out, logsumexp } = attendCached({ ...call, q: share(q, [B, G, H / G, D]) });
      return { out: share(out, [B, H, L, E]), logsumexp: share(logsumexp, [B, H, L]) };
    }
    const shape = { B, H, G, L, S: length };
    const plan = planAttend(shape, mask, score, { D, E, dropout: false, ...(positions && { positions }) });
    const parts = onDevice(plan, q.device);
    return forward({ parts, scale, dropout: undefined, flags }, { q, k, v });
  });
}
