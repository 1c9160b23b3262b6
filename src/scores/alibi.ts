import { describe, isList } from '../core/describe.js';
import { OptionError, ShapeError } from '../core/errors.js';
import { checkValues, positive } from '../core/requirements.js';
import { lookup, tableOf } from '../codegen/expression/index.js';
import { Score } from './score.js';

const mostHeads = 65536;

export interface SlopeOptions {
  /** The exponent of the last head's slope, which is 2 to the minus this for a power of two; default 8. */
  readonly exponent?: number;
}

/**
 * The official slopes for any number of heads: `2^(−8(h+1)/H)` for a power of two; else those of the power of two P
 * below, followed by every other slope of 2P. (Press, Smith, Lewis 2021, arXiv 2108.12409; another exponent than 8: MPT.)
 *
 * @throws OptionError for a number of heads that is none, or an exponent that is not above 0.
 */
export function alibiSlopes(heads: number, options: SlopeOptions = {}): Float64Array {
  checkValues('alibiSlopes', options, { exponent: positive });
  const { exponent = 8 } = options;
  if (!(Number.isInteger(heads) && heads > 0 && heads <= mostHeads))
    throw new OptionError(`alibiSlopes: heads must be an integer from 1 to ${mostHeads}; got ${describe(heads)}.`);
  const power = 2 ** Math.floor(Math.log2(heads));
  return Float64Array.from({ length: heads }, (_, h) =>
    h < power ? 2 ** ((-exponent * (h + 1)) / power) : 2 ** ((-exponent * (2 * (h - power) + 1)) / (2 * power)),
  );
}

/**
 * Attention with linear biases: `score − slope[h] · |q − k|`; the bias is not scaled. The slopes are fixed numbers, one
 * per query head; default the official ones.
 *
 * Relative to the paper: both directions, as |q − k|; with `causal` it is the paper's `−m·(i − j)`.
 *
 * @throws OptionError for slopes that are not finite; ShapeError unless there is one per query head.
 */
export function alibi(slopes?: ArrayLike<number>): Score {
  if (slopes !== undefined && !(isList(slopes) && Array.from(slopes).every(Number.isFinite))) {
    throw new OptionError(`alibi: slopes must be a list of finite numbers; got ${describe(slopes)}.`);
  }
  const own = slopes === undefined ? undefined : Float32Array.from(slopes);
  return new Score(own === undefined ? 'alibi()' : 'alibi(slopes)', ({ score, h, q, k }, { H }) => {
    if (own !== undefined && own.length !== H) {
      throw new ShapeError(`alibi: takes one slope per query head; got ${own.length} slopes for H=${H}.`);
    }
    const table = tableOf('slopes', own ?? Float32Array.from(alibiSlopes(H)));
    return score.sub(lookup(table, h).mul(q.sub(k).abs().toF32()));
  });
}
