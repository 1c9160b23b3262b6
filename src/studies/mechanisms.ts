import { attend } from '../ops/attend.js';
import { mul } from '../ops/arithmetic.js';
import { matmul } from '../ops/matmul.js';
import { concat, slice } from '../ops/shape.js';
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
  /** How this run departs from the plain one; goes into the row. */
  readonly note: string | null;
  /** `pairs`: query–key pairs it needs, all heads. */
  readonly run: (q: Tensor, k: Tensor, v: Tensor) => { readonly out: Tensor; readonly pairs: () => number };
}

/**
 * Attention as in a textbook, with this engine's operations: scores, softmax and product one after the other, two n×n
 * matrices a head alive at a time. `group` heads go together: all of them where their matrices fit. The time hardly
 * depends on it.
 */
export const standard = (heads: number, group: number): Mechanism => ({
  name: 'standard',
  label: 'standard (n×n matrix)',
  kind: 'standard',
  target: 'full',
  support: { causal: false, mask: undefined },
  note: group === heads ? null : `${group} of ${heads} heads at a time`,
  run: (q, k, v) => {
    const length = q.shape[2]!;
    const pairs = (): number => heads * length * length;
    if (group === heads) return { out: materialised(q, k, v), pairs };
    const out = scope(() => {
      const parts = Array.from({ length: heads / group }, (_, i) => {
        const cut = (x: Tensor): Tensor => slice(x, { axis: 1, start: i * group, end: (i + 1) * group });
        return scope(() => materialised(cut(q), cut(k), cut(v)));
      });
      return concat(parts, { axis: 1 });
    });
    return { out, pairs };
  },
});

function materialised(q: Tensor, k: Tensor, v: Tensor): Tensor {
  return scope(() => {
    // scaling q costs n·D instead of n²
    const scores = matmul(mul(q, 1 / Math.sqrt(q.shape.at(-1)!)), k, { transposeB: true });
    const weights = softmax(scores);
    scores.dispose();
    return matmul(weights, v);
  });
}

/** A tensor lies in one buffer, which has fewer than 2³² bytes. */
const LARGEST_TENSOR = 2 ** 32 - 128;

/** Bytes of the n×n matrices that standard attention of `heads` heads holds at a time. */
export const standardBytes = (heads: number, length: number): number => 2 * 4 * heads * length * length;

/** How many heads standard attention can take at a time within `limit` bytes; 0 where not even one. */
export function standardGroup(heads: number, length: number, limit: number): number {
  for (let group = heads; group >= 1; group--) {
    const bytes = standardBytes(group, length);
    if (heads % group === 0 && bytes / 2 <= LARGEST_TENSOR && bytes <= limit) return group;
  }
  return 0;
}

export function fused({ name, label, causal, mask, target }: NamedMask): Mechanism {
  return {
    name: name === 'none' ? 'exact' : name,
    label: mask === undefined ? `${label}, fused` : label,
    kind: mask === undefined ? 'exact' : 'sparse',
    target,
    support: { causal, mask },
    note: null,
    run: (q, k, v) => {
      const { out, logsumexp, counters } = attend(q, k, v, { causal, ...(mask && { mask }) });
      logsumexp.dispose();
      return { out, pairs: () => counters.pairsNeeded };
    },
  };
}
