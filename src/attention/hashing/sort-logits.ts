import { constant, select, variable, type F32 } from '../../codegen/expression/index.js';
import { add, concat, cumulativeSum, map, matmul, reshape, slice, sum } from '../../ops/index.js';
import { full, scope, tensor, type Tensor } from '../../tensor/index.js';
import { unitUniform } from '../parameters.js';
import type { StepSeed } from '../definition.js';

/** Tokens in blocks. */
export interface Blocks {
  /** Tokens of a block, and how many blocks. */
  readonly size: number;
  readonly count: number;
  /** Tokens of each batch row that are no padding. */
  readonly lengths: readonly number[] | undefined;
}

const [x0, x1, x2] = [0, 1, 2].map((i) => variable(`x${i}`, 'f32')) as [F32, F32, F32];

/**
 * `mean of the queries of block u · mean of the keys of block v / √D`, `[B,H,N,N]`, for `q` and `k` `[B,H,n,D]` that are 0 where they are
 * padding. Blocks of nothing but padding are apart: each is sorted to itself.
 */
export function sortLogits(q: Tensor, k: Tensor, blocks: Blocks): Tensor {
  const { count, lengths } = blocks;
  return scope(() => {
    const logits = compared(means(q, blocks), means(k, blocks));
    if (lengths === undefined) return logits;
    const table = Float32Array.from({ length: lengths.length * count * count }, (_, at) => {
      const [b, u, v] = [Math.floor(at / count ** 2), Math.floor(at / count) % count, at % count];
      const last = Math.max(u, v) * blocks.size;
      return last < lengths[b]! ? 1 : u === v ? 0 : -Infinity;
    });
    const seen = tensor(table, [lengths.length, 1, count, count], { device: q.device });
    return map(select(x1.gt(0), x0, x1), logits, seen);
  });
}

/**
 * The same with the mean of the queries up to the first of block u, for keys of blocks before it, behind `nulls` blocks whose logit is 0:
 * `[B,H,N,nulls + N − 1]`, −∞ for blocks that are not before u.
 */
export function causalSortLogits(q: Tensor, k: Tensor, blocks: Blocks, nulls: number): Tensor {
  const { size, count } = blocks;
  const [B, H, , D] = q.shape as [number, number, number, number];
  const { device } = q;
  return scope(() => {
    const starts = reshape(slice(reshape(q, [B, H, count, size, D]), { axis: 3, end: 1 }), [B, H, count, D]);
    const sums = add(cumulativeSum(blockSums(q, blocks), { axis: 2, exclusive: true }), starts);
    const numbers = (length: number, shape: readonly number[]): Tensor =>
      tensor(
        Float32Array.from({ length }, (_, i) => i),
        shape,
        { device },
      );
    const queries = map(x0.div(x1.mul(size).add(1)), sums, numbers(count, [count, 1]));
    const none = full([B, H, nulls, D], 0, { device });
    const keys = count === 1 ? none : concat([none, slice(means(k, blocks), { axis: 2, end: count - 1 })], { axis: 2 });
    const columns = nulls + count - 1;
    return map(
      select(x1.lt(x2.add(nulls)), x0, constant(-Infinity, 'f32')),
      compared(queries, keys),
      numbers(columns, [columns]),
      numbers(count, [count, 1]),
    );
  });
}

const compared = (queries: Tensor, keys: Tensor): Tensor =>
  map(x0.div(Math.sqrt(queries.shape[3]!)), matmul(queries, keys, { transposeB: true }));

/** The sum of each block, `[B,H,N,D]`. */
function blockSums(x: Tensor, { size, count }: Blocks): Tensor {
  const [B, H, , D] = x.shape as [number, number, number, number];
  return sum(reshape(x, [B, H, count, size, D]), { axes: 3 });
}

/** The mean of each block, without padding. */
function means(x: Tensor, blocks: Blocks): Tensor {
  const { size, count, lengths } = blocks;
  const sums = blockSums(x, blocks);
  if (lengths === undefined) return map(x0.div(size), sums);
  const tokens = Float32Array.from({ length: lengths.length * count }, (_, at) => {
    const before = lengths[Math.floor(at / count)]! - size * (at % count);
    return Math.max(1, Math.min(size, before));
  });
  return map(x0.div(x1), sums, tensor(tokens, [lengths.length, 1, count, 1], { device: x.device }));
}

export interface LogitOptions {
  readonly temperature: number;
  readonly noise: boolean;
  readonly positiveLogits: boolean;
}

/** A number of the Gumbel distribution from one that is uniform on [0, 1), a multiple of 2⁻²⁴. */
export const gumbelOf = (uniform: F32): F32 =>
  uniform
    .add(2 ** -25)
    .log()
    .neg()
    .log()
    .neg();
const gumbel = gumbelOf(x1);

/** `(logits + g) / τ`, g from the Gumbel distribution in a step of training. (Jang et al. 2017, arXiv:1611.01144.) */
export function tempered(
  logits: Tensor,
  { temperature, noise, positiveLogits }: LogitOptions,
  training: StepSeed | undefined,
): Tensor {
  return scope(() => {
    // −∞ stays what it is
    const positive = select(x0.eq(-Infinity), x0, x0.max(0).add(1e-6).log());
    const given = positiveLogits ? positive : x0;
    if (!noise || training === undefined) return map(given.div(temperature), logits);
    const uniform = unitUniform(logits.shape, training.seed, training.purpose);
    return map(given.add(gumbel).div(temperature), logits, tensor(uniform, logits.shape, { device: logits.device }));
  });
}
