import { attend } from '../ops/attend.js';
import { mul } from '../ops/arithmetic.js';
import { matmul } from '../ops/matmul.js';
import { softmax } from '../ops/softmax.js';
import { scope, type Tensor } from '../tensor/index.js';
import type { NamedMask } from './mask-names.js';
import type { Support } from './reference.js';

/** One way to compute attention, as `compare` runs it. */
export interface Mechanism {
  readonly name: string;
  readonly label: string;
  readonly kind: 'standard' | 'exact' | 'sparse';
  /** What its error is measured against. */
  readonly target: 'full' | 'causal';
  /** The pairs it computes with. */
  readonly support: Support;
  /** `pairs`: query–key pairs it needs, all heads. */
  readonly run: (q: Tensor, k: Tensor, v: Tensor) => { readonly out: Tensor; readonly pairs: () => number };
}

/**
 * Attention as in a textbook, with this engine's operations: scores, softmax and product one after the other, all heads in
 * one call, two n×n matrices a head alive at a time.
 */
export const standard: Mechanism = {
  name: 'standard',
  label: 'standard (n×n matrix)',
  kind: 'standard',
  target: 'full',
  support: { causal: false, mask: undefined },
  run: (q, k, v) => {
    const out = scope(() => {
      // scaling q costs n·D instead of n²
      const scores = matmul(mul(q, 1 / Math.sqrt(q.shape.at(-1)!)), k, { transposeB: true });
      const weights = softmax(scores);
      scores.dispose();
      return matmul(weights, v);
    });
    const [heads, length] = [q.shape[1]!, q.shape[2]!];
    return { out, pairs: () => heads * length * length };
  },
};

/** Bytes of the n×n matrices that standard attention holds at a time. */
export const standardBytes = (heads: number, length: number): number => 2 * 4 * heads * length * length;

export function fused({ name, label, causal, mask, target }: NamedMask): Mechanism {
  return {
    name: name === 'none' ? 'exact' : name,
    label: mask === undefined ? `${label}, fused` : label,
    kind: mask === undefined ? 'exact' : 'sparse',
    target,
    support: { causal, mask },
    run: (q, k, v) => {
      const { out, logsumexp, counters } = attend(q, k, v, { causal, ...(mask && { mask }) });
      logsumexp.dispose();
      return { out, pairs: () => counters.pairsNeeded };
    },
  };
}
