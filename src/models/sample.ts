import { NumericsError } from '../core/errors.js';
import {
  checkValue,
  checkValues,
  fraction,
  listOfNumbers,
  notNegative,
  wholeFrom,
  type Requirements,
} from '../core/requirements.js';

export interface SampleOptions {
  /** Logits are divided by it; 0 takes the most likely token. Default 1. */
  readonly temperature?: number;
  /** Only the `topK` most likely tokens are drawn; 0 (the default): all. (Fan, Lewis, Dauphin 2018, arXiv 1805.04833.) */
  readonly topK?: number;
  /** Only the most likely tokens that have this probability together; default 1. (Holtzman et al. 2019, arXiv 1904.09751.) */
  readonly topP?: number;
  /** Only tokens that have this share of the likeliest one's probability; default 0: all. (Nguyen et al. 2024, arXiv 2407.01082.) */
  readonly minP?: number;
}

/** What the options of a draw must be. */
export const sampling: Requirements = {
  temperature: notNegative,
  topK: wholeFrom(0),
  topP: { must: 'a number above 0 and at most 1', holds: (p) => typeof p === 'number' && p > 0 && p <= 1 },
  minP: { must: 'a number from 0 to 1', holds: (p) => typeof p === 'number' && p >= 0 && p <= 1 },
};

/** Of options that have others too. */
export const samplingOf = ({ temperature, topK, topP, minP }: SampleOptions): SampleOptions => ({
  ...(temperature !== undefined && { temperature }),
  ...(topK !== undefined && { topK }),
  ...(topP !== undefined && { topP }),
  ...(minP !== undefined && { minP }),
});

/**
 * The token drawn from `softmax(logits / temperature)` by `u`, uniform on [0, 1): the first, in descending order of probability, at
 * which the sum of those kept passes `u`. Equal logits are ordered by their token. `topK` keeps first, then `topP`, then `minP`, each of
 * what is left; all see the probabilities at this temperature. In float64.
 *
 * @throws NumericsError for logits that are NaN or infinite, or none; OptionError for another option, or u.
 */
export function sample(logits: ArrayLike<number>, options: SampleOptions, u: number): number {
  checkValue('sample', 'logits', logits, listOfNumbers);
  checkValues('sample', options, sampling);
  checkValue('sample', 'u', u, fraction);
  const { temperature = 1, topK = 0, topP = 1, minP = 0 } = options;
  if (logits.length === 0) throw new NumericsError('sample: there are no logits to draw from.');
  const order = Array.from({ length: logits.length }, (_, token) => token);
  const wrong = order.find((token) => !Number.isFinite(logits[token]));
  if (wrong !== undefined) {
    throw new NumericsError(
      `sample: the logit of token ${wrong} is ${logits[wrong]}; the model's weights are damaged.`,
    );
  }
  order.sort((a, b) => logits[b]! - logits[a]! || a - b);
  if (temperature === 0) return order[0]!;
  const kept = topK > 0 ? order.slice(0, topK) : order;
  const weights = kept.map((token) => Math.exp((logits[token]! - logits[kept[0]!]!) / temperature));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  // the likeliest weighs 1
  const likely = weights.findIndex((weight) => weight < minP);
  const count = Math.min(nucleus(weights, topP * total), likely < 0 ? weights.length : Math.max(1, likely));
  const inside = weights.slice(0, count).reduce((sum, weight) => sum + weight, 0);
  let passed = 0;
  for (let i = 0; i < count; i++) {
    passed += weights[i]!;
    if (passed > u * inside) return kept[i]!;
  }
  return kept[count - 1]!;
}

/** The fewest of the largest weights that add up to `mass`. */
function nucleus(weights: readonly number[], mass: number): number {
  let sum = 0;
  const last = weights.findIndex((weight) => (sum += weight) >= mass);
  return last < 0 ? weights.length : last + 1;
}
