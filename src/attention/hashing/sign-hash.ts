import { constant, select, variable, type F32, type I32 } from '../../codegen/expression/index.js';
import { memoised } from '../../core/memo.js';
import { map, matmul, reshape, split } from '../../ops/index.js';
import { scope, type Tensor } from '../../tensor/index.js';

/**
 * How the bits of a sign hash, the first one the highest, become a bucket: `'inverse-gray'`: neighbours on the number line differ in one
 * bit; `'gray'`: the Gray code itself, whose neighbours may differ in many.
 */
export type BucketOrder = 'inverse-gray' | 'gray';

/**
 * Which bucket `x` `[B,H,n,D]` falls in by the sides `[x·p > 0]` of the `planes` `[D,r]` it lies on, i32 `[B,H,n]` from 0 to 2ʳ − 1. The
 * probability that two vectors fall on different sides of a plane is the angle between them over π. (Charikar 2002; sorted by
 * Hamming distance: Han et al. 2023, arXiv:2310.05869.)
 */
export function signBuckets(x: Tensor, planes: Tensor, order: BucketOrder): Tensor {
  const [B, H, n] = x.shape as [number, number, number];
  const r = planes.shape[1]!;
  return scope(() => {
    const sides = matmul(planes, x, { transposeA: true, transposeB: true });
    const ones = new Array<number>(r).fill(1);
    const rows = split(sides, ones, { axis: 2 }).map((row) => reshape(row, [B, H, n]));
    return map(bucketOf(r, order), ...rows);
  });
}

/** The bucket from the projections x0, x1, …: bits of the inverse Gray code are the parities of the bits so far. */
const bucketOf = memoised((r: number, order: BucketOrder): I32 => {
  let [bucket, before]: [F32, F32] = [constant(0, 'f32'), constant(0, 'f32')];
  for (let i = 0; i < r; i++) {
    const above = variable(`x${i}`, 'f32').gt(0);
    const changed = select(above, constant(1, 'f32').sub(before), before);
    bucket = bucket.mul(2).add(changed);
    before = order === 'gray' ? select(above, constant(1, 'f32'), 0) : changed;
  }
  return bucket.toI32();
});
