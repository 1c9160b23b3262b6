import { variable } from '../../codegen/expression/index.js';
import { memoised } from '../../core/memo.js';
import { add, gather, map, reshape, slice, takeAlong, topK } from '../../ops/index.js';
import { decided, scope, tensor, type Tensor } from '../../tensor/index.js';

/** The best pairs of each row, best first. */
export interface Products {
  /** `s¹_a + s²_b`, `[H, T, knn]`. */
  readonly sums: Tensor;
  /** `a·n + b`, i32; decided, see `decided`. */
  readonly pairs: Tensor;
}

const [x0, x1] = [variable('x0', 'i32'), variable('x1', 'i32')];

/**
 * The `knn` pairs (a, b) with the largest `s¹_a + s²_b`, for scores `[H, 2, T, n]` of two halves: those of all n² pairs, found among pairs
 * of the best `knn` of each half, or of all n (Lample et al. 2019, arXiv 1907.05242, section 3.2).
 *
 * Relative to the paper: the i-th best of one half with the j-th best of the other is looked at where i·j ≤ knn alone, since there
 * are i·j − 1 pairs before it. That is knn·ln knn sums in place of knn².
 */
export function nearestProducts(scores: Tensor, knn: number): Products {
  const [H, , T, n] = scores.shape as [number, number, number, number];
  const halfOf = (x: Tensor, half: number): Tensor =>
    reshape(slice(x, { axis: 1, start: half, end: half + 1 }), [H, T, x.shape[3]!]);
  return scope(() => {
    const [a, b] = decided(() => {
      const { values, indices } = topK(scores, Math.min(knn, n));
      const ranks = candidates(knn, n).map((list) => tensor(list, [list.length], { device: scores.device }));
      const [first, second] = ranks as [Tensor, Tensor];
      const sums = add(gather(halfOf(values, 0), first, { axis: 2 }), gather(halfOf(values, 1), second, { axis: 2 }));
      const best = topK(sums, knn).indices;
      return ranks.map((rank, half) => takeAlong(halfOf(indices, half), gather(rank, best)));
    }) as readonly [Tensor, Tensor];
    const sums = add(takeAlong(halfOf(scores, 0), a), takeAlong(halfOf(scores, 1), b));
    return { sums, pairs: map(x0.mul(n).add(x1), a, b) };
  });
}

/** Ranks, from 0 to n − 1, of the halves of all pairs that may be among the `knn` best, in the order of the first, then of the second. */
const candidates = memoised((knn: number, n: number): readonly [Int32Array, Int32Array] => {
  const pairs = Array.from({ length: Math.min(knn, n) }, (_, i) =>
    Array.from({ length: Math.min(n, Math.floor(knn / (i + 1))) }, (__, j) => [i, j] as const),
  ).flat();
  return [Int32Array.from(pairs, ([i]) => i), Int32Array.from(pairs, ([, j]) => j)];
});
