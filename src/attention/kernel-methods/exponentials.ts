import { linearAttend, type LinearAttendOptions, map, max, reshape, runningMax } from '../../ops/index.js';
import { repeatHeads } from '../../ops/repeat-heads.js';
import { noGradient, scope, type Tensor } from '../../tensor/index.js';
import type { Call } from '../define.js';
import { realKeys } from '../real-keys.js';

/** Features `exp(q)` and `exp(k)`, by their exponents. */
export interface Exponents {
  /** `[B,G,S,M]` */
  readonly k: Tensor;
  /** `[B,G,R,M]` with R rows for the H/G heads of a group, plus `shift` `[B,G,1,M]` where there is one. */
  readonly q: (shift?: Tensor) => Tensor;
}

/** What a call tells while it is computed. */
export type Told = Pick<LinearAttendOptions, 'onRowsLost'>;

/** What is carried from token to token: `[B,H,M,E+1]` in units of exp(top), and top `[B,G]`. */
export type ExponentialState = Readonly<Record<'sums' | 'top', Tensor>>;

/**
 * `out_i = Σ_j w_ij v_j / Σ_j w_ij` with `w_ij = Σ_m exp(q_im + k_jm)`, without overflow. What is the same for all keys of a row
 * cancels, so exponents are moved freely: to each feature's largest key, and then to each row's largest feature. A divisor
 * is then at least 1. What they are moved by has no gradient, as the result does not depend on it.
 */
export function attendExponentials(call: Call, exponents: Exponents, told: Told): Tensor {
  const { v, lengths, shape } = call;
  const { B, H, L } = shape;
  // padding would else be shifted by what it had no part in, beyond all range
  const k = realKeys(exponents.k, lengths, -Infinity);
  // what is moved from the keys to the queries of all heads that share them: [B, G, 1, M]
  const top = untracked(() => max(k, { axes: 2, keepDims: true }));
  const q = fromLargest(exponents.q(top));
  const queries = reshape(q, [B, H, L, q.shape[3]!]);
  const keys = map((x, shift) => x.sub(shift).exp(), k, top);
  return linearAttend(queries, keys, v, { eps: 0, ...told, ...(lengths && { lengths }) }).out;
}

/**
 * The same over the keys so far. A shift by later keys would let the future through (rounding and underflow), so the sums are
 * carried in units of exp(the largest exponent so far), as a running softmax is: where it grows, they decay.
 */
export function attendExponentialsCausally(
  { v, lengths, shape }: Call,
  exponents: Exponents,
  told: Told,
  state?: Partial<ExponentialState>,
): { readonly out: Tensor; readonly state: ExponentialState } {
  const { B, H, G, L, S } = shape;
  const { k } = exponents;
  const { top, fall } = untracked(() => runningMax(max(k, { axes: -1 }), state?.top && { initial: state.top }));
  const q = fromLargest(exponents.q());
  const queries = reshape(q, [B, H, L, q.shape[3]!]);
  const keys = map((x, shift) => x.sub(shift).exp(), k, reshape(top, [B, G, S, 1]));
  const decay = reshape(repeatHeads(reshape(fall, [B, G, S, 1]), H), [B, H, S]);
  const { out, state: sums } = linearAttend(queries, keys, v, {
    causal: true,
    eps: 0,
    ...told,
    decay,
    ...(lengths && { lengths }),
    ...(state?.sums && { initialState: state.sums }),
  });
  return { out, state: { sums, top: untracked(() => max(top, { axes: -1 })) } };
}

/** `exp(x − the row's largest)`. */
const fromLargest = (x: Tensor): Tensor =>
  map(
    (y, shift) => y.sub(shift).exp(),
    x,
    untracked(() => max(x, { axes: -1, keepDims: true })),
  );

/** Computes without gradients, and keeps only what is returned. */
export const untracked = <T>(body: () => T): T => scope(() => noGradient(body));
