import type { AttentionShape } from '../options.js';

/** Σ over the queries of the keys that one sees, by its position in the keys' numbering, i + S − L. */
export function sumOverRows({ L, S }: Pick<AttentionShape, 'L' | 'S'>, keys: (position: number) => number): number {
  let total = 0;
  for (let position = S - L; position < S; position++) total += keys(position);
  return total;
}

/** How many of the keys `from … to` there are among `0 … S − 1`. */
export const keysBetween = (S: number, from: number, to: number): number =>
  Math.max(0, Math.min(S - 1, to) - Math.max(0, from) + 1);

/** How many of the keys `position − left, …, position + right` in steps of `step`, through the position, there are. */
export const keysInSteps = (S: number, position: number, step: number, left: number, right: number): number =>
  Math.min(left, Math.floor(position / step)) + 1 + Math.min(right, Math.floor((S - 1 - position) / step));

/** A width for n positions as rows of an image: the divisor of n nearest above √n, or ⌈√n⌉ where that is more than twice √n. */
export function nearSquareWidth(n: number): number {
  const root = Math.ceil(Math.sqrt(n));
  for (let width = root; width <= 2 * root && width <= n; width++) if (n % width === 0) return width;
  return root;
}

/** A stride for n positions as in the Sparse Transformer, about √n. */
export const nearRoot = (n: number): number => Math.max(1, Math.round(Math.sqrt(n)));

/** Σ over H heads that take their pairs from a list in turn. */
export const overHeads = (H: number, perTurn: readonly number[]): number =>
  Array.from({ length: H }, (_, h) => perTurn[h % perTurn.length]!).reduce((sum, pairs) => sum + pairs, 0);
