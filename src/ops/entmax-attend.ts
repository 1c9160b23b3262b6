import { OptionError, ShapeError } from '../core/errors.js';
import { between, type Requirement, type Requirements } from '../core/requirements.js';
import { show } from '../core/shape.js';
import { withCausal } from '../masks/bands.js';
import { full, zeros } from '../tensor/create.js';
import { scope } from '../tensor/scope.js';
import { operation } from '../tensor/tape.js';
import { commonDevice, Tensor } from '../tensor/tensor.js';
import { attendOptions, checkAttend } from './attend/check.js';
import { counted } from './attend/counters.js';
import type { AttendOptions } from './attend/options.js';
import { planAttend } from './attend/plan.js';
import { backward, forward, type EntmaxCall } from './entmax-attend/launch.js';
import { onDevice } from './attend/on-device.js';
import { nonFinite } from './attend/non-finite.js';

export interface EntmaxAttendOptions extends Pick<AttendOptions, 'causal' | 'mask' | 'scale'> {
  /** α, from 1.01, near softmax, to 2, sparsemax; default 1.5. */
  readonly alpha?: number;
  /** In place of `alpha`, α − 1 for each query head, f32 `[H]`, which gradients flow to. */
  readonly excess?: Tensor;
}

/** Below, powers of weights leave what float32 can tell apart; softmax is `attend`. */
export const leastAlpha = 1.01;

const { causal, mask, scale } = attendOptions as Record<'causal' | 'mask' | 'scale', Requirement>;
const own: Requirements = {
  causal,
  mask,
  scale,
  alpha: between(leastAlpha, 2),
  excess: { must: 'an f32 tensor', holds: (x) => x instanceof Tensor && x.dtype === 'f32' },
};

/**
 * Attention whose weights are exactly 0 for keys of low scores:
 * `out = entmax_α(mask(scale · q kᵀ)) v`, `entmax_α(z) = [(α − 1)z − τ]_+^{1/(α − 1)}`, τ such that a row sums to 1.
 *
 * `q` `[B,H,L,D]`, `k` `[B,G,S,D]`, `v` `[B,G,S,E]`, all f32 → `[B,H,L,E]`; G divides H. α = 2 is sparsemax, and α → 1 softmax. A row that
 * may see no key gives 0. Scores are computed once in the forward pass and twice in the backward pass, and values, keys and gradients are
 * read of those keys alone that have a weight. No n×n matrix is stored: a thread's workspace has a number, in the backward pass two, for
 * each key and each of 8 or 16 queries. Numbers in `excess` must be from 0.01 to 1, which is not checked.
 *
 * (α-entmax: Peters, Niculae, Martins 2019, arXiv:1905.05702; its gradients, and α by head: Correia et al. 2019, arXiv:1909.00015; in tiles:
 * Gonçalves et al. 2025, arXiv:2502.12082.)
 *
 * @throws ShapeError, OptionError or CapabilityError naming what does not fit.
 *
 * @example
 * const out = entmaxAttend(q, k, v, { alpha: 1.5, causal: true });
 */
export function entmaxAttend(q: Tensor, k: Tensor, v: Tensor, options: EntmaxAttendOptions = {}): Tensor {
  const inputs = { q, k, v };
  const who = 'entmaxAttend';
  const { sizes, scale: factor } = checkAttend(who, inputs, options, own);
  const { alpha = 1.5, excess: given, ...plain } = options;
  if (q.dtype !== 'f32') throw new OptionError(`${who}: q, k and v must be f32; got ${q.dtype}. Use cast.`);
  const { D, E, ...shape } = sizes;
  if (given !== undefined) {
    commonDevice(who, [q, given]);
    if (given.rank !== 1 || given.shape[0] !== shape.H)
      throw new ShapeError(
        `${who}: excess must be [H], one for each of the ${shape.H} heads; got ${show(given.shape)}.`,
      );
  }
  const expression = withCausal(plain.causal ?? false, plain.mask)?.expression(shape) ?? null;
  const plan = planAttend(shape, expression, undefined, { D, E, dropout: false, split: false });
  const power = given !== undefined ? undefined : alpha === 2 ? 1 : alpha === 1.5 ? 2 : undefined;
  const out = scope(() => {
    const excess = given ?? full([shape.H], alpha - 1, { device: q.device, category: 'saved' });
    const part = onDevice(plan, q.device)[0]!;
    const call = (...read: [Tensor, ...Tensor[]]): EntmaxCall => ({
      part,
      spec: { attend: part.spec, power },
      scale: factor,
      excess,
      flags: plan.hides ? nonFinite(read) : undefined,
    });
    const found = forward(call(v), inputs);
    const all = given ? [q, k, v, given] : [q, k, v];
    operation(
      who,
      all,
      [found.out],
      ([dout], needs) => {
        const cotangent = dout ?? zeros(found.out.shape, { device: q.device });
        const { dq, dk, dv, dexcess } = backward(call(q, k, v, cotangent), inputs, found.rows, cotangent, {
          ofAlpha: needs[3] === true,
        });
        return [dq, dk, dv, dexcess].slice(0, all.length);
      },
      [...all, ...part.tensors, excess, ...Object.values(found.rows)],
    );
    return found.out;
  });
  counted(plan, [q, k, v, out]);
  return out;
}
