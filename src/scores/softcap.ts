import { describe } from '../core/describe.js';
import { OptionError } from '../core/errors.js';
import { Score } from './score.js';

/**
 * Soft-capping: `cap · tanh(score / cap)`, which keeps scores within ±cap. (Gemma 2, 2024, arXiv 2408.00118.)
 *
 * @throws OptionError unless `cap` is a finite number > 0.
 */
export function softcap(cap: number): Score {
  if (!(Number.isFinite(cap) && cap > 0))
    throw new OptionError(`softcap: cap must be a finite number > 0; got ${describe(cap)}.`);
  return new Score(`softcap(${cap})`, ({ score }) => score.div(cap).tanh().mul(cap));
}
