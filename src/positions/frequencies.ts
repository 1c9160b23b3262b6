import { OptionError } from '../core/errors.js';
import { anything, checkValues, wholeFrom, type Requirement } from '../core/requirements.js';
import {
  checkScaling,
  llama3Frequencies,
  longRopeFrequencies,
  longRopeMagnitude,
  yarnMagnitude,
  yarnRange,
  type RopeScaling,
  type YarnScaling,
} from './scaling.js';

export interface FrequencyOptions {
  /** R, the number of components that turn; even. */
  readonly rotaryDim: number;
  /** Default 10000. */
  readonly base?: number;
  readonly scaling?: RopeScaling;
  /** The length at hand, which dynamic scaling and LongRoPE read unless they have their own; default the trained length. */
  readonly length?: number;
}

/** Of rotary and of sinusoidal embeddings. */
export const someBase: Requirement = {
  must: 'a number above 1',
  holds: (x) => Number.isFinite(x) && (x as number) > 1,
};
const requirements = {
  rotaryDim: {
    // no head is wider
    must: 'an even whole number from 2 to 2^20',
    holds: (x: unknown) => wholeFrom(2).holds(x) && (x as number) <= 2 ** 20 && (x as number) % 2 === 0,
  },
  base: someBase,
  scaling: anything,
  length: wholeFrom(1),
};

export interface RopeFrequencies {
  /** The angle of each of the R/2 pairs at position 1, in radians. */
  readonly frequencies: Float64Array;
  /** What cosines and sines are multiplied by; 1 except for YaRN and LongRoPE. */
  readonly magnitude: number;
}

/**
 * The angles per position of rotary pairs: `base^(−2i/R)`, i = 0 … R/2 − 1, after the scaling. In float64; models that
 * compute them in f32 differ in the last bits.
 *
 * @throws OptionError for an odd or missing `rotaryDim`, or numbers out of range.
 *
 * @example
 * const { frequencies } = ropeFrequencies({ rotaryDim: 4, scaling: { type: 'linear', factor: 2 } });
 * [...frequencies]; // [0.5, 0.005]
 */
export function ropeFrequencies(options: FrequencyOptions): RopeFrequencies {
  return frequenciesOf('ropeFrequencies', options);
}

/** `ropeFrequencies` that names the calling operation in messages. */
export function frequenciesOf(who: string, options: FrequencyOptions): RopeFrequencies {
  checkValues(who, options, requirements, ['rotaryDim']);
  const { rotaryDim, base = 10000, scaling, length } = options;
  if (scaling !== undefined) checkScaling(who, scaling);
  const plain = powers(base, rotaryDim);
  switch (scaling?.type) {
    case undefined:
      return { frequencies: plain, magnitude: 1 };
    case 'linear':
      return { frequencies: plain.map((frequency) => frequency / scaling.factor), magnitude: 1 };
    case 'ntk':
      return { frequencies: stretched(who, base, rotaryDim, scaling.factor), magnitude: 1 };
    case 'dynamic': {
      const { factor, originalLength } = scaling;
      const n = scaling.length ?? length ?? originalLength;
      const own = n > originalLength ? (factor * n) / originalLength - (factor - 1) : 1;
      return { frequencies: stretched(who, base, rotaryDim, own), magnitude: 1 };
    }
    case 'yarn':
      return { frequencies: mixed(plain, scaling, base), magnitude: yarnMagnitude(scaling) };
    case 'llama3':
      return { frequencies: llama3Frequencies(plain, scaling), magnitude: 1 };
    case 'longrope': {
      const n = scaling.length ?? length ?? scaling.originalLength;
      return { frequencies: longRopeFrequencies(who, plain, scaling, n), magnitude: longRopeMagnitude(scaling) };
    }
  }
}

const powers = (base: number, dim: number): Float64Array =>
  Float64Array.from({ length: dim / 2 }, (_, i) => base ** ((-2 * i) / dim));

function stretched(who: string, base: number, dim: number, factor: number): Float64Array {
  if (dim === 2 && factor !== 1) {
    throw new OptionError(`${who}: NTK scaling needs rotaryDim ≥ 4, because its base is base·factor^(R/(R−2)); got 2.`);
  }
  return powers(factor === 1 ? base : base * factor ** (dim / (dim - 2)), dim);
}

function mixed(plain: Float64Array, scaling: YarnScaling, base: number): Float64Array {
  const [low, high] = yarnRange(scaling, plain.length, base);
  const { factor, extrapolation = 1 } = scaling;
  // a range of no width becomes a step
  const width = high === low ? 0.001 : high - low;
  return plain.map((frequency, i) => {
    const kept = (1 - Math.min(1, Math.max(0, (i - low) / width))) * extrapolation;
    return frequency * kept + (frequency / factor) * (1 - kept);
  });
}
