import type { FloatDtype } from '../core/dtype.js';
import { withCausal } from '../masks/bands.js';
import { zeros } from '../tensor/create.js';
import { scope } from '../tensor/scope.js';
import { operation } from '../tensor/tape.js';
import type { Tensor } from '../tensor/tensor.js';
import { backward } from './attend/backward.js';
import { prepare } from './attend/call.js';
import { checkAttend, type Checked } from './attend/check.js';
import { counted } from './attend/counters.js';
import { forward, type AttendValues } from './attend/forward.js';
import type { Attended, AttendOptions } from './attend/options.js';
import { planAttend, type AttendPlan } from './attend/plan.js';
import type { AttendInputs } from './attend/sizes.js';
import { inFull, stored, widened } from './cast.js';

export type { AttendCounters, Attended, AttendOptions } from './attend/options.js';

/**
 * Exact attention without the n×n matrix:
 * `out = softmax(mask(score(scale · q kᵀ))) v`, `logsumexp = log Σ_j exp(…)`.
 *
 * `q` `[B,H,L,D]`, `k` `[B,G,S,D]`, `v` `[B,G,S,E]` → `out` `[B,H,L,E]`, `logsumexp` `[B,H,L]`; G divides H, and query
 * head h reads key/value head ⌊h·G/H⌋. D is at most 2048, E at most 256. Tiles that the mask empties are never visited. A row that
 * may see no key gives 0 and −∞, with gradient 0. NaN and Inf reach the rows that may see them and no others.
 *
 * Differentiable in q, k, v, in `logsumexp`, and in the tensors that `score` reads; the weights are recomputed, so beside
 * inputs and outputs only row statistics and the map of tiles are kept, which calls of one plan share. Memory beyond those is a fixed workspace per thread. f16 and
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
  const inputs = { q, k, v };
  const { sizes, ...numbers } = checkAttend('attend', inputs, options);
  const { D, E, ...shape } = sizes;
  const mask = withCausal(options.causal ?? false, options.mask)?.expression(shape) ?? null;
  const score = options.score?.expression(shape);
  const plan = planAttend(shape, mask, score, { D, E, dropout: numbers.dropout !== undefined });
  // a scope, so that nothing is left behind where memory runs out
  const { out, logsumexp } = scope(() => onTape(plan, inputs, numbers));
  return { out, logsumexp, counters: counted(plan, [q, k, v, out, logsumexp]) };
}

/** The backward pass reads the plan where the forward pass put it, and widens halves again. */
function onTape(plan: AttendPlan, given: AttendInputs, numbers: Omit<Checked, 'sizes'>): AttendValues {
  const { inputs, learned, uploaded, pass } = prepare('attend', plan, given, numbers);
  const { device, dtype } = given.q;
  const wide = inFull(given);
  const found = forward(pass(wide.v), wide);
  const values = { ...found, out: stored(found.out, dtype as FloatDtype) };
  operation(
    'attend',
    inputs,
    [values.out, values.logsumexp],
    ([cotangent, dlogsumexp], needs) => {
      const dout = cotangent ?? zeros(values.out.shape, { device });
      const wanted = learned.filter((_, i) => needs[3 + i]);
      const { q, k, v } = inFull(given);
      const kept = { ...values, out: widened(values.out) };
      const cotangents = { dout, dlogsumexp };
      const { dq, dk, dv, dtables } = backward(pass(q, k, v, dout), { q, k, v }, kept, cotangents, wanted);
      return [dq, dk, dv, ...learned.map((table) => dtables[wanted.indexOf(table)])];
    },
    [...inputs, ...uploaded, values.out, values.logsumexp],
  );
  return values;
}
