import { constant, select, type F32 } from '../../codegen/expression/index.js';
import { concat, map, matmul, reshape, slice } from '../../ops/index.js';
import { recompute, tensor, type Tensor } from '../../tensor/index.js';
import type { Call } from '../define.js';
import type { AttentionShape } from '../options.js';

/** Queries start … end − 1. */
export interface Stretch {
  readonly start: number;
  readonly end: number;
}

/** Scores that are in memory together, unless those of 8 queries are more. */
const mostScores = 2 ** 24;

function stretches({ B, H, L, S }: AttentionShape): readonly Stretch[] {
  const rows = Math.max(8, Math.floor(mostScores / (B * H * S)));
  return Array.from({ length: Math.ceil(L / rows) }, (_, i) => ({ start: i * rows, end: Math.min(L, (i + 1) * rows) }));
}

/** Keys that the queries before `end` may see; at least one, which is then hidden. */
const keysOf = ({ L, S }: AttentionShape, causal: boolean, end: number): number =>
  causal ? Math.max(1, Math.min(S, end + S - L)) : S;

/** Pairs of one head that `inStretches` computes. */
export const pairsInStretches = (shape: AttentionShape, causal: boolean): number =>
  stretches(shape).reduce((sum, { start, end }) => sum + (end - start) * keysOf(shape, causal, end), 0);

/** Scores of some queries, `[B, H, rows, keys]`: row i is query start + i. */
export interface Scores extends Stretch {
  readonly scores: Tensor;
  /** Row i sees keys j ≤ i + first; undefined without causality. */
  readonly first: number | undefined;
  readonly others: readonly Tensor[];
}

/**
 * `Σ_j weigh(q_i·k_j) values_j`, `[B, H, L, columns]`, one stretch of queries after the other, each of which is computed again in the
 * backward pass. Tensors that `weigh` reads are `others`.
 */
export function inStretches(
  { shape, causal }: Call,
  given: { readonly q: Tensor; readonly k: Tensor; readonly values: Tensor; readonly others?: readonly Tensor[] },
  weigh: (some: Scores) => Tensor,
): Tensor {
  const { B, H, G, L, S, D } = shape;
  const parts = stretches(shape).map(({ start, end }) => {
    const body = (q: Tensor, k: Tensor, values: Tensor, others: readonly Tensor[]): Tensor => {
      const [rows, count] = [end - start, keysOf(shape, causal, end)];
      const seen = (x: Tensor): Tensor => (count === S ? x : slice(x, { axis: 2, end: count }));
      const queries = reshape(slice(q, { axis: 2, start, end }), [B, G, (H / G) * rows, D]);
      const scores = reshape(matmul(queries, seen(k), { transposeB: true }), [B, H, rows, count]);
      const weights = weigh({ scores, start, end, others, first: causal ? start + S - L : undefined });
      const sums = matmul(reshape(weights, [B, G, (H / G) * rows, count]), seen(values));
      return reshape(sums, [B, H, rows, values.shape[3]!]);
    };
    const inputs = [given.q, given.k, given.values, ...(given.others ?? [])];
    return recompute((q, k, values, ...others) => [body(q, k, values, others)], inputs)[0]!;
  });
  return concat(parts, { axis: 2 });
}

/** `f` of the scores that may be seen, by causality and by the number of keys of each batch row; `otherwise` for the others. */
export function seenOnly(
  scores: Tensor,
  { first, lengths }: { readonly first: number | undefined; readonly lengths?: readonly number[] | undefined },
  f: (score: F32) => F32,
  otherwise: number,
): Tensor {
  if (first === undefined && lengths === undefined) return map(f, scores);
  const [rows, keys] = scores.shape.slice(-2) as [number, number];
  const { device } = scores;
  const last = numbers(rows, [rows, 1], device, (i) => (first === undefined ? keys : i + first));
  const end = tensor(Float32Array.from(lengths ?? [keys]), [(lengths ?? [keys]).length, 1, 1, 1], { device });
  return map(
    (score, to, key, real) => select(key.le(to).and(key.lt(real)), f(score), constant(otherwise, 'f32')),
    scores,
    last,
    numbers(keys, [keys], device, (j) => j),
    end,
  );
}

/** `of(i)` for i = 0 … count − 1. */
export const numbers = (
  count: number,
  shape: readonly number[],
  device: Tensor['device'],
  of: (i: number) => number,
): Tensor =>
  tensor(
    Float32Array.from({ length: count }, (_, i) => of(i)),
    shape,
    { device },
  );
