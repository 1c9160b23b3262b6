import { checkOptions } from '../core/errors.js';
import type { Expression } from '../codegen/expression/index.js';
import { countPairs } from '../masks/count.js';
import type { AttendShape } from '../masks/index.js';
import { zeros } from '../tensor/create.js';
import { scope } from '../tensor/scope.js';
import { operation } from '../tensor/tape.js';
import { commonDevice, Tensor } from '../tensor/tensor.js';
import { runBackward } from './attend/backward.js';
import type { AttendCall } from './attend/bind.js';
import { checkInputs, checkValues } from './attend/check.js';
import { runForward } from './attend/forward.js';
import type { AttendCounters, Attended, AttendOptions } from './attend/options.js';
import { cast } from './cast.js';
import { mergeAttention, type PartialAttention } from './attend/merge.js';
import { combineMasks, planAttend, type AttendPlan } from './attend/plan.js';

export type { AttendCounters, Attended, AttendOptions } from './attend/options.js';

const optionNames = ['causal', 'mask', 'score', 'scale', 'dropout'];

/**
 * Exact attention without the n×n matrix:
 * `out = softmax(mask(score(scale · q kᵀ))) v`, `logsumexp = log Σ_j exp(…)`.
 *
 * `q` `[B,H,L,D]`, `k` `[B,G,S,D]`, `v` `[B,G,S,E]` → `out` `[B,H,L,E]`, `logsumexp` `[B,H,L]`; G divides H, and query
 * head h reads key/value head ⌊h·G/H⌋. D and E are at most 256. Tiles that the mask empties are never visited. A row that
 * may see no key gives 0 and −∞, with gradient 0. NaN and Inf reach the rows that may see them and no others.
 *
 * Differentiable in q, k, v, in `logsumexp`, and in the tensors that `score` reads; the weights are recomputed, so beside
 * inputs and outputs only row statistics are kept. Memory beyond those is a fixed workspace per thread. f16 and
 * bf16 inputs are widened for the call and give an output of their dtype.
 * (FlashAttention-2: Dao 2023, arXiv:2307.08691; masks and scores as expressions: FlexAttention, 2024, arXiv:2412.05496.)
 *
 * @throws ShapeError, OptionError or CapabilityError naming what does not fit.
 *
 * @example
 * const { out } = attend(q, k, v, { causal: true, mask: within({ radius: 256 }) });
 */
export function attend(q: Tensor, k: Tensor, v: Tensor, options: AttendOptions = {}): Attended {
  checkOptions('attend', options, optionNames);
  checkValues(options);
  const { B, H, G, L, S, D, E } = checkInputs(q, k, v);
  const shape = { B, H, G, L, S };
  const { causal = false, score, scale = 1 / Math.sqrt(D) } = options;
  const dropout = options.dropout && options.dropout.rate > 0 ? options.dropout : undefined;
  const mask = combineMasks(causal, options.mask)?.expression(shape) ?? null;
  const { width } = q.device.info;
  const plans = planAttend(shape, mask, score?.expression(shape), { D, E, width, dropout: dropout !== undefined });
  // a scope, so that nothing is left behind where memory runs out
  const { out, logsumexp } = scope(() => {
    // halves are widened once: the kernels compute in f32 and keep row statistics in f32
    const [fq, fk, fv] = [q, k, v].map((x) => (x.dtype === 'f32' ? x : cast(x, 'f32'))) as [Tensor, Tensor, Tensor];
    const parts = plans.map((plan) => attendPart({ shape, plan, scale, dropout }, fq, fk, fv));
    const merged = parts.reduce((a, b) => mergeAttention(a, b));
    return { out: q.dtype === 'f32' ? merged.out : cast(merged.out, q.dtype), logsumexp: merged.logsumexp };
  });
  return { out, logsumexp, counters: counters(plans, mask, shape, [q, k, v, out, logsumexp]) };
}

/** Attention over the pairs of one plan, on the tape. */
function attendPart(call: AttendCall, q: Tensor, k: Tensor, v: Tensor): PartialAttention {
  const sources = new Set(call.plan.spec.tables.map(({ source }) => source));
  const learned = [...sources].filter((source) => source instanceof Tensor);
  const inputs = [q, k, v, ...learned];
  commonDevice('attend', inputs);
  const values = runForward(call, q, k, v);
  operation(
    'attend',
    inputs,
    [values.out, values.logsumexp],
    ([dout, dlogsumexp], needs) => {
      const cotangent = dout ?? zeros(values.out.shape, { device: q.device });
      const wanted = learned.filter((_, i) => needs[3 + i]);
      const gradients = runBackward(call, { q, k, v }, values, cotangent, dlogsumexp, wanted);
      const { dq, dk, dv, dtables } = gradients;
      return [dq, dk, dv, ...learned.map((table) => dtables[wanted.indexOf(table)])];
    },
    [...inputs, values.out, values.logsumexp],
  );
  return values;
}

function counters(
  plans: readonly AttendPlan[],
  mask: Expression | null,
  shape: AttendShape,
  tensors: readonly Tensor[],
): AttendCounters {
  const total = (of: (plan: AttendPlan) => number): number => plans.reduce((sum, plan) => sum + of(plan), 0);
  let needed: number | undefined;
  return {
    // counted when asked for: a rule without structure takes a look at every pair of a partial tile
    get pairsNeeded() {
      return (needed ??= countPairs(mask, shape));
    },
    pairsVisited: total(({ visited }) => visited.pairs),
    tiles: {
      empty: total(({ visited }) => visited.tiles.empty),
      full: total(({ visited }) => visited.tiles.full),
      partial: total(({ visited }) => visited.tiles.partial),
    },
    multiplyAdds: total(({ visited, spec }) => visited.pairs * (spec.D + spec.E)),
    bytes: tensors.reduce((sum, x) => sum + x.byteLength, 0),
  };
}
