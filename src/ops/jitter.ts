import { anything, checkValues, fraction, text, wholeFrom } from '../core/requirements.js';
import { commonDevice, type Tensor } from '../tensor/index.js';
import { withNoise, type NoisePlace } from './noise.js';

export interface JitterOptions extends NoisePlace {
  /** 0 ≤ ε < 1. */
  readonly epsilon: number;
}

/**
 * Each element of `x [..., D]` times a number of its own, uniform on `[1 − ε, 1 + ε)`; x itself where ε is 0. The numbers depend on seed, purpose,
 * row and column alone, and nothing is stored for the backward pass. (Fedus, Zoph, Shazeer 2021, "Switch Transformers", arXiv 2101.03961,
 * appendix C, jitter what a router reads.)
 *
 * @throws OptionError for integers, or an ε out of range.
 */
export function jitter(x: Tensor, options: JitterOptions): Tensor {
  commonDevice('jitter', [x]);
  const requirements = { epsilon: fraction, seed: anything, purpose: text, firstRow: wholeFrom(0) };
  checkValues('jitter', options, requirements, ['epsilon', 'seed', 'purpose']);
  const { epsilon } = options;
  return epsilon === 0 ? x : withNoise('jitter', x, options, 'jitter', { factor: epsilon });
}
