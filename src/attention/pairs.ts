import type { Cost } from './definition.js';
import type { AttentionShape } from './options.js';

/** The cost of attention over so many query–key pairs of all heads of one batch row: D + E multiply-adds a pair. */
export const costOfPairs = ({ B, D, E }: AttentionShape, pairs: number): Cost => ({
  pairs,
  multiplyAdds: B * pairs * (D + E),
});

/** Pairs of one head when everything may be seen, or everything up to the query: row i then has clamp(i + S − L + 1, 0, S). */
export function headPairs({ L, S }: Pick<AttentionShape, 'L' | 'S'>, causal: boolean): number {
  if (!causal) return L * S;
  const [last, rows] = [S, Math.min(L, S)];
  return (rows * (2 * last - rows + 1)) / 2;
}

export const allPairs = (shape: AttentionShape, causal: boolean): Cost =>
  costOfPairs(shape, shape.H * headPairs(shape, causal));
