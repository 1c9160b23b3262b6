import type { Mask } from '../../masks/index.js';
import type { Score } from '../../scores/index.js';
import type { Tensor } from '../../tensor/tensor.js';

export interface Dropout {
  readonly rate: number;
  readonly seed: number;
}

export interface AttendOptions {
  /** Query i sees keys j ≤ i + S − L; default false. */
  readonly causal?: boolean;
  /** Which pairs may see each other, beside `causal`. */
  readonly mask?: Mask;
  /** A change of the scaled scores, before the mask; −∞ hides a pair as a mask does, see `visible`. */
  readonly score?: Score;
  /** Factor of q·k; default 1/√D. */
  readonly scale?: number;
  /** Drops weights at `rate` in [0, 1) and scales the others by 1/(1 − rate); which ones depends on `seed` alone. */
  readonly dropout?: Dropout;
}

/** What a call computes, counted from its tile map. */
export interface AttendCounters {
  /** Pairs the mask allows. */
  readonly pairsNeeded: number;
  /** Pairs of all tiles that are not skipped. */
  readonly pairsVisited: number;
  readonly tiles: { readonly empty: number; readonly full: number; readonly partial: number };
  /** Multiply-adds of the forward pass: pairsVisited · (D + E). */
  readonly multiplyAdds: number;
  /** Bytes of q, k, v, out and logsumexp. */
  readonly bytes: number;
}

export interface Attended {
  /** `[B, H, L, E]` */
  readonly out: Tensor;
  /** `[B, H, L]`: log Σ_j exp(score_ij) over the allowed keys; −∞ for a row without any. */
  readonly logsumexp: Tensor;
  readonly counters: AttendCounters;
}
