import { isPlainObject } from '../core/describe.js';
import {
  atLeast,
  between,
  checkValue,
  flag,
  notOptions,
  oneOf,
  positive,
  reasonsAgainst,
  refuse,
  wholeFrom,
  type Requirements,
} from '../core/requirements.js';

/** Position interpolation: all angles divided by `factor`. (Chen et al. 2023, arXiv 2306.15595.) */
export interface LinearScaling {
  readonly type: 'linear';
  /** New length over trained length, ≥ 1. */
  readonly factor: number;
}

/** NTK-aware: `base · factor^(R/(R−2))`, so the fastest pair stays and the slowest is divided by `factor`. (bloc97 2023.) */
export interface NtkScaling {
  readonly type: 'ntk';
  readonly factor: number;
}

/**
 * NTK-aware with the factor of the length n at hand: `factor·n/L − (factor − 1)` for n > L, else 1. Angles change while a
 * sequence grows, so keys that were rotated and cached at a shorter length do not fit: give `length` then, or rotate anew.
 */
export interface DynamicScaling {
  readonly type: 'dynamic';
  readonly factor: number;
  /** L, the trained length. */
  readonly originalLength: number;
  /** n; default the highest position of the call + 1. */
  readonly length?: number;
}

/**
 * YaRN: fast pairs keep their angles, slow ones are interpolated, those between mixed, and cos and sin are multiplied by
 * `0.1·ln(factor) + 1`. (Peng, Quesnelle, Fan, Shippole 2023, arXiv 2309.00071.)
 */
export interface YarnScaling {
  readonly type: 'yarn';
  readonly factor: number;
  /** L, the trained length. */
  readonly originalLength: number;
  /** Pairs that turn at least so often within L keep their angles; default 32. */
  readonly betaFast?: number;
  /** Pairs that turn at most so often within L are interpolated; default 1. */
  readonly betaSlow?: number;
  /** Rounds the ends of the mixed range to whole pairs; default true. */
  readonly truncate?: boolean;
  /** Share of the kept angles, 0 … 1; default 1. */
  readonly extrapolation?: number;
  /** What cos and sin are multiplied by, in place of all of the following. */
  readonly attentionFactor?: number;
  /** With both, cos and sin are multiplied by `(0.1·mscale·ln(factor) + 1) / (0.1·mscaleAllDim·ln(factor) + 1)` (DeepSeek). */
  readonly mscale?: number;
  readonly mscaleAllDim?: number;
  /** A further factor of cos and sin; default 1. */
  readonly magnitude?: number;
}

/** How rotary angles change beyond the trained length. With factor 1, all but the dynamic kind change nothing. */
export type RopeScaling = LinearScaling | NtkScaling | DynamicScaling | YarnScaling;

const stretch = { factor: atLeast(1) };
const known: { readonly [T in RopeScaling['type']]: Requirements } = {
  linear: stretch,
  ntk: stretch,
  dynamic: { ...stretch, originalLength: wholeFrom(1), length: atLeast(1) },
  yarn: {
    ...stretch,
    originalLength: wholeFrom(1),
    betaFast: positive,
    betaSlow: positive,
    truncate: flag,
    extrapolation: between(0, 1),
    attentionFactor: positive,
    mscale: positive,
    mscaleAllDim: positive,
    magnitude: positive,
  },
};
const someType = oneOf(Object.keys(known));

/** @throws OptionError for an unknown kind or option, or numbers out of range. */
export function checkScaling(who: string, scaling: RopeScaling): void {
  if (!isPlainObject(scaling)) refuse(who, [notOptions(scaling, ['type', '…'], 'scaling')]);
  checkValue(who, 'scaling.type', scaling.type, someType);
  const own = known[scaling.type];
  const needed = ['factor', 'originalLength'].filter((name) => name in own);
  refuse(who, reasonsAgainst(scaling, { type: someType, ...own }, needed, 'scaling'));
  const { betaFast = 32, betaSlow = 1 } = scaling as Partial<YarnScaling>;
  if (betaFast >= betaSlow) return;
  refuse(who, [`scaling.betaFast must be at least betaSlow ${betaSlow}; got ${betaFast}`]);
}

/** YaRN's ends of the mixed range, as numbers of pairs, for `pairs` pairs of `base`. */
export function yarnRange(scaling: YarnScaling, pairs: number, base: number): readonly [number, number] {
  const { originalLength, betaFast = 32, betaSlow = 1, truncate = true } = scaling;
  const pairOf = (turns: number): number => (pairs * Math.log(originalLength / (2 * Math.PI * turns))) / Math.log(base);
  const [low, high] = [pairOf(betaFast), pairOf(betaSlow)];
  // the clamp to R − 1 rather than the last pair is the reference's
  return [Math.max(truncate ? Math.floor(low) : low, 0), Math.min(truncate ? Math.ceil(high) : high, 2 * pairs - 1)];
}

/** What YaRN multiplies cos and sin by. */
export function yarnMagnitude(scaling: YarnScaling): number {
  const { factor, attentionFactor, mscale, mscaleAllDim, magnitude = 1 } = scaling;
  const of = (share: number): number => (factor <= 1 ? 1 : 0.1 * share * Math.log(factor) + 1);
  if (attentionFactor !== undefined) return attentionFactor;
  const own = mscale !== undefined && mscaleAllDim !== undefined ? of(mscale) / of(mscaleAllDim) : of(1);
  return own * magnitude;
}
