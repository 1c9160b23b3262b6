import type { FloatDtype } from '../core/dtype.js';
import { checkOptions } from '../core/errors.js';
import { zeros } from '../tensor/create.js';
import { scope } from '../tensor/scope.js';
import { operation } from '../tensor/tape.js';
import { commonDevice, Tensor } from '../tensor/tensor.js';
import type { AttendGradients } from './attend/backward.js';
import { callsOf, guarded, type AttendCall, type AttendInputs } from './attend/bind.js';
import { checkInputs, checkScore, checkSettings } from './attend/check.js';
import type { AttendValues } from './attend/forward.js';
import { backwardOfPart, forwardOfPart } from './attend/gathered-keys.js';
import { countersOf, tally } from './attend/counters.js';
import { inFull } from './attend/in-full.js';
import type { Attended, AttendOptions } from './attend/options.js';
import { stored, widened } from './cast.js';
import { combineMasks, planAttend } from './attend/plan.js';

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
 * bf16 inputs are widened for the call, and again for its gradient, and give an output of their dtype, which is what is kept:
 * the gradient then takes Σ_j P_ij·dP_ij = dout·out of the rounded output.
 * (FlashAttention-2: Dao 2023, arXiv:2307.08691; masks and scores as expressions: FlexAttention, 2024, arXiv:2412.05496.)
 *
 * @throws ShapeError, OptionError or CapabilityError naming what does not fit.
 *
 * @example
 * const { out } = attend(q, k, v, { causal: true, mask: within({ radius: 256 }) });
 */
export function attend(q: Tensor, k: Tensor, v: Tensor, options: AttendOptions = {}): Attended {
  checkOptions('attend', options, optionNames);
  checkSettings('attend', options);
  checkScore('attend', options.score);
  const { B, H, G, L, S, D, E } = checkInputs('attend', q, k, v);
  const shape = { B, H, G, L, S };
  const { causal = false, score, scale = 1 / Math.sqrt(D) } = options;
  const dropout = options.dropout && options.dropout.rate > 0 ? options.dropout : undefined;
  const mask = combineMasks(causal, options.mask)?.expression(shape) ?? null;
  const plans = planAttend(shape, mask, score?.expression(shape), { D, E, dropout: dropout !== undefined });
  // a scope, so that nothing is left behind where memory runs out
  const { out, logsumexp } = scope(() => attendParts(callsOf(plans, { shape, scale, dropout }), { q, k, v }));
  const counters = countersOf(plans, mask, shape, [q, k, v, out, logsumexp]);
  tally(q.device, counters, D + E);
  return { out, logsumexp, counters };
}

/** Attention over the pairs of several plans, disjoint, on the tape: each adds its keys to what those before it found. */
function attendParts(calls: readonly AttendCall[], given: AttendInputs): AttendValues {
  const { q, k, v } = given;
  const sources = new Set(calls.flatMap(({ plan }) => plan.spec.tables.map(({ source }) => source)));
  const learned = [...sources].filter((source) => source instanceof Tensor);
  const inputs = [q, k, v, ...learned];
  commonDevice('attend', inputs);
  const wide = inFull(given);
  const found = guarded([wide.v], (nonFinite) =>
    calls.reduce<AttendValues | undefined>((before, call) => forwardOfPart(call, wide, nonFinite, before), undefined),
  )!;
  const values = { ...found, out: stored(found.out, q.dtype as FloatDtype) };
  operation(
    'attend',
    inputs,
    [values.out, values.logsumexp],
    ([dout, dlogsumexp], needs) => {
      const cotangent = dout ?? zeros(values.out.shape, { device: q.device });
      const wanted = learned.filter((_, i) => needs[3 + i]);
      const again = inFull(given);
      const kept = { ...values, out: widened(values.out) };
      // the weights of a part follow from the logsumexp of all
      const { dq, dk, dv, dtables } = guarded([again.q, again.k, again.v, cotangent], (nonFinite) =>
        calls.reduce<AttendGradients | undefined>(
          (before, call) => backwardOfPart(call, again, kept, cotangent, dlogsumexp, wanted, nonFinite, before),
          undefined,
        ),
      )!;
      return [dq, dk, dv, ...learned.map((table) => dtables[wanted.indexOf(table)])];
    },
    [...inputs, values.out, values.logsumexp],
  );
  return values;
}
