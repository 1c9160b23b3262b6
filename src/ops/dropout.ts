import { anything, checkValue, checkValues, fraction, text, wholeFrom } from '../core/requirements.js';
import { keeping } from '../kernels/philox.js';
import { commonDevice, type Tensor } from '../tensor/index.js';
import { withNoise, type NoisePlace } from './noise.js';

export interface DropoutOptions extends NoisePlace {
  /** 0 ≤ rate < 1. */
  readonly rate: number;
}

/**
 * Sets each element of `x [..., D]` to 0 with probability `rate` and multiplies the others by `1/(1 − rate)`, which keeps the mean;
 * x itself at rate 0. What is dropped depends on seed, purpose, row and column alone, and nothing is stored for the backward
 * pass. (Srivastava et al. 2014, "Dropout: A Simple Way to Prevent Neural Networks from Overfitting", JMLR 15.)
 *
 * @throws OptionError for integers, or a rate out of range.
 */
export function dropout(x: Tensor, options: DropoutOptions): Tensor {
  commonDevice('dropout', [x]);
  const requirements = { rate: anything, seed: anything, purpose: text, firstRow: wholeFrom(0) };
  checkValues('dropout', options, requirements, ['rate', 'seed', 'purpose']);
  const { rate } = options;
  checkRate('dropout', rate);
  const { keepBelow, keepFactor } = keeping(rate);
  return rate === 0 ? x : withNoise('dropout', x, options, 'drop', { keepBelow, factor: keepFactor });
}

/** @throws OptionError unless 0 ≤ rate < 1. */
export function checkRate(who: string, rate: number): void {
  checkValue(who, 'rate', rate, fraction);
}
