import { OptionError, ShapeError } from '../core/errors.js';
import { lookup, tableOf } from '../codegen/expression/index.js';
import { Score } from './score.js';

/**
 * The official slopes for any number of heads: `2^(−8(h+1)/H)` for a power of two; else those of the power of two P
 * below, followed by every other slope of 2P. (Press, Smith, Lewis 2021, arXiv 2108.12409.)
 */
export function alibiSlopes(heads: number): Float64Array {
  if (!(Number.isInteger(heads) && heads > 0))
    throw new OptionError(`alibiSlopes: heads must be an integer ≥ 1; got ${String(heads)}.`);
  const power = 2 ** Math.floor(Math.log2(heads));
  return Float64Array.from({ length: heads }, (_, h) =>
    h < power ? 2 ** ((-8 * (h + 1)) / power) : 2 ** ((-8 * (2 * (h - power) + 1)) / (2 * power)),
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
  const own = slopes === undefined ? undefined : Float32Array.from(slopes);
  if (own?.every(Number.isFinite) === false) throw new OptionError('alibi: slopes must be finite numbers.');
  return new Score(own === undefined ? 'alibi()' : 'alibi(slopes)', ({ score, h, q, k }, { H }) => {
    if (own !== undefined && own.length !== H) {
      throw new ShapeError(`alibi: takes one slope per query head; got ${own.length} slopes for H=${H}.`);
    }
    const table = tableOf('slopes', own ?? Float32Array.from(alibiSlopes(H)));
    return score.sub(lookup(table, h).mul(q.sub(k).abs().toF32()));
  });
}
