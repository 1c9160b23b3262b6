import { checkValue, flag, notNegative } from '../core/requirements.js';
import { checkShape } from '../core/shape.js';
import type { Cost } from './definition.js';
import { checkSizes, type AttentionShape } from './options.js';

/** The cost of attention over so many query–key pairs of all heads of one batch row: D + E multiply-adds a pair. */
export function costOfPairs(shape: AttentionShape, pairs: number): Cost {
  checkSizes('costOfPairs', shape);
  checkValue('costOfPairs', 'pairs', pairs, notNegative);
  return { pairs, multiplyAdds: shape.B * pairs * (shape.D + shape.E) };
}

/** Pairs of one head when everything may be seen, or everything up to the query: row i then has clamp(i + S − L + 1, 0, S). */
export function headPairs(shape: Pick<AttentionShape, 'L' | 'S'>, causal: boolean): number {
  const { L, S } = Object(shape) as typeof shape;
  checkShape('headPairs', [L]);
  checkShape('headPairs', [S]);
  checkValue('headPairs', 'causal', causal, flag);
  if (!causal) return L * S;
  const [last, rows] = [S, Math.min(L, S)];
  return (rows * (2 * last - rows + 1)) / 2;
}

export function allPairs(shape: AttentionShape, causal: boolean): Cost {
  checkSizes('allPairs', shape);
  return costOfPairs(shape, shape.H * headPairs(shape, causal));
}
