import type { Expression } from '../../codegen/expression/index.js';
import type { AttendShape } from '../../masks/index.js';
import { share, type Tensor } from '../../tensor/tensor.js';
import { callsOf, type NonFiniteFlags } from './bind.js';
import type { AttendValues } from './forward.js';
import { forwardOfPart } from './gathered-keys.js';
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
  /** Whether values hold NaN or Inf; read where a mask or the score hides pairs. */
  readonly nonFinite: NonFiniteFlags;
}

/** `attend` over the first rows of a larger room, where they lie. f32, without gradients; inputs are known to fit. */
export function attendCached(call: CachedCall): AttendValues {
  const { q, k, v, length, mask, score, scale, positions, nonFinite } = call;
  const [B, H, L, D] = q.shape as [number, number, number, number];
  const [, G, keyRows, E] = v.shape as [number, number, number, number];
  if (L === 1 && G < H && mask === null && score === undefined) {
    // the queries of a group see the same keys: as rows of one head they are read once
    const { out, logsumexp } = attendCached({ ...call, q: share(q, [B, G, H / G, D]) });
    return { out: reshaped(out, [B, H, L, E]), logsumexp: reshaped(logsumexp, [B, H, L]) };
  }
  const shape = { B, H, G, L, S: length };
  const plans = planAttend(shape, mask, score, { D, E, dropout: false, ...(positions && { positions }) });
  const calls = callsOf(plans, { shape, scale, dropout: undefined, keyRows });
  return calls.reduce<AttendValues | undefined>(
    (before, part) => forwardOfPart(part, { q, k, v }, nonFinite, before),
    undefined,
  )!;
}

function reshaped(x: Tensor, shape: readonly number[]): Tensor {
  const other = share(x, shape);
  x.dispose();
  return other;
}
