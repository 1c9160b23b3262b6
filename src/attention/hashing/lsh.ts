import { select, variable, type I32 } from '../../codegen/expression/index.js';
import { argmax, concat, map, matmul, neg, reshape, slice, split } from '../../ops/index.js';
import { scope, tensor, type Tensor } from '../../tensor/index.js';

/** More buckets than this are the product of two hashes. */
const mostBuckets = 128;

/**
 * The hashes whose product numbers so many buckets: one, or from 130 on two, `[2^⌈log₂ √b⌉, 2⌊b / 2a⌋]` (as in trax), which may make
 * a few less.
 */
export function bucketFactors(buckets: number): readonly number[] {
  if (buckets <= mostBuckets) return [buckets];
  const first = 2 ** Math.ceil(Math.log2(Math.sqrt(buckets)));
  return [first, 2 * Math.floor(buckets / (2 * first))];
}

/** Columns of the rotations of hashes of so many buckets: half a column a bucket. */
export const rotationColumns = (factors: readonly number[]): number =>
  factors.reduce((sum, factor) => sum + factor / 2, 0);

const [id, more, other] = [0, 1, 2].map((i) => variable(`x${i}`, 'i32')) as [I32, I32, I32];

/**
 * Angular hashes `argmax [x·Ω ; −x·Ω]` of `x` `[B,H,n,D]` by one round's `rotations` `[H,D,Σ b/2]`, i32 `[B,H,n]`: several hashes b₁, b₂ are numbered
 * h₁ + b₁·h₂. (Andoni et al. 2015, arXiv:1509.02897.)
 */
export function angularHash(x: Tensor, rotations: Tensor, factors: readonly number[]): Tensor {
  return scope(() => {
    const rotated = split(
      matmul(x, rotations),
      factors.map((factor) => factor / 2),
      { axis: -1 },
    );
    let stride = 1;
    const ids = rotated.map((part, i) => {
      const own = map(id.mul(stride), argmax(concat([part, neg(part)], { axis: -1 }), { axis: -1 }));
      stride *= factors[i]!;
      return own;
    });
    return ids.reduce((sum, next) => map(id.add(more), sum, next));
  });
}

const padding = select(more.eq(0), id, other);

/** Hashes with the bucket `buckets` for padding, the tokens from `lengths[b]` on. */
export function withPadding(hashes: Tensor, buckets: number, lengths: readonly number[]): Tensor {
  const [B, , n] = hashes.shape as [number, number, number];
  const isPadding = Int32Array.from({ length: B * n }, (_, at) => Number(at % n >= lengths[Math.floor(at / n)]!));
  return scope(() => {
    const { device } = hashes;
    return map(
      padding,
      hashes,
      tensor(isPadding, [B, 1, n], { device }),
      tensor(Int32Array.of(buckets), [1], { device }),
    );
  });
}

/** The rotations of a round, `[H,D,F]`, from those of all, `[R,H,D,F]`. */
export const rotationsOf = (all: Tensor, round: number): Tensor =>
  reshape(slice(all, { axis: 0, start: round, end: round + 1 }), all.shape.slice(1));
