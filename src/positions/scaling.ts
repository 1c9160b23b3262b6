import { isPlainObject } from '../core/describe.js';
import {
  atLeast,
  between,
  checkValue,
  flag,
  listOf,
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

/**
 * Llama 3.1: pairs whose wavelength is below `originalLength / highFrequency` keep their angles, those above `originalLength / lowFrequency`
 * are divided by `factor`, and those between are mixed, linearly in the turns within the trained length. (Grattafiori et al. 2024, "The
 * Llama 3 Herd of Models", arXiv 2407.21783; the rule is that of the published code.)
 */
export interface Llama3Scaling {
  readonly type: 'llama3';
  readonly factor: number;
  /** L, the trained length. */
  readonly originalLength: number;
  /** Turns within L below which pairs are divided by the factor; default 1. */
  readonly lowFrequency?: number;
  /** Turns within L above which pairs are kept; default 4. */
  readonly highFrequency?: number;
}

/**
 * LongRoPE: the angle of each pair divided by a number of its own, found by a search: one list up to the trained length, another beyond it.
 * cos and sin are multiplied by `√(1 + ln(factor) / ln(originalLength))`. (Ding et al. 2024, arXiv 2402.13753; Phi-3, arXiv 2404.14219.)
 *
 * As with dynamic scaling, angles change where a sequence grows past the trained length: give `length` for keys that are cached.
 */
export interface LongRopeScaling {
  readonly type: 'longrope';
  /** New length over trained length, ≥ 1. */
  readonly factor: number;
  /** L, the trained length. */
  readonly originalLength: number;
  /** R/2 numbers each. */
  readonly shortFactors: readonly number[];
  readonly longFactors: readonly number[];
  /** What cos and sin are multiplied by instead. */
  readonly attentionFactor?: number;
  /** The length at hand; default the highest position of the call + 1. */
  readonly length?: number;
}

/** How rotary angles change beyond the trained length. With factor 1, all but the dynamic kind and LongRoPE change nothing. */
export type RopeScaling = LinearScaling | NtkScaling | DynamicScaling | YarnScaling | Llama3Scaling | LongRopeScaling;

const stretch = { factor: atLeast(1) };
const positives = listOf('numbers above 0', positive);
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
  llama3: { ...stretch, originalLength: wholeFrom(1), lowFrequency: positive, highFrequency: positive },
  longrope: {
    ...stretch,
    originalLength: wholeFrom(2),
    shortFactors: positives,
    longFactors: positives,
    attentionFactor: positive,
    length: atLeast(1),
  },
};
const someType = oneOf(Object.keys(known));

/** @throws OptionError for an unknown kind or option, or numbers out of range. */
export function checkScaling(who: string, scaling: RopeScaling): void {
  if (!isPlainObject(scaling)) refuse(who, [notOptions(scaling, ['type', '…'], 'scaling')]);
  checkValue(who, 'scaling.type', scaling.type, someType);
  const own = known[scaling.type];
  const needed = ['factor', 'originalLength', 'shortFactors', 'longFactors'].filter((name) => name in own);
  refuse(who, reasonsAgainst(scaling, { type: someType, ...own }, needed, 'scaling'));
  const { betaFast = 32, betaSlow = 1 } = scaling as Partial<YarnScaling>;
  const { lowFrequency = 1, highFrequency = 4 } = scaling as Partial<Llama3Scaling>;
  refuse(
    who,
    [
      betaFast < betaSlow && `scaling.betaFast must be at least betaSlow ${betaSlow}; got ${betaFast}`,
      highFrequency <= lowFrequency &&
        `scaling.highFrequency must be above lowFrequency ${lowFrequency}; got ${highFrequency}`,
    ].filter((reason) => reason !== false),
  );
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

/** The angles of pairs after Llama 3.1's rule. */
export function llama3Frequencies(plain: Float64Array, scaling: Llama3Scaling): Float64Array {
  const { factor, originalLength, lowFrequency = 1, highFrequency = 4 } = scaling;
  return plain.map((frequency) => {
    const turns = (originalLength * frequency) / (2 * Math.PI);
    const kept = Math.min(1, Math.max(0, (turns - lowFrequency) / (highFrequency - lowFrequency)));
    return frequency * kept + (frequency / factor) * (1 - kept);
  });
}

/** The angles of pairs after LongRoPE. @throws OptionError unless there is a number for each pair. */
export function longRopeFrequencies(
  who: string,
  plain: Float64Array,
  scaling: LongRopeScaling,
  length: number,
): Float64Array {
  const { shortFactors, longFactors, originalLength } = scaling;
  const wrong = Object.entries({ shortFactors, longFactors }).filter(([, list]) => list.length !== plain.length);
  refuse(
    who,
    wrong.map(([name, list]) => `scaling.${name} must be ${plain.length} numbers, one a pair; got ${list.length}`),
  );
  const factors = length > originalLength ? longFactors : shortFactors;
  return plain.map((frequency, i) => frequency / factors[i]!);
}

/** What LongRoPE multiplies cos and sin by. */
export const longRopeMagnitude = ({ factor, originalLength, attentionFactor }: LongRopeScaling): number =>
  attentionFactor ?? (factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(originalLength)));
