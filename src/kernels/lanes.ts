import type { F32, I32, VectorBuilder, VF } from '../codegen/vector.js';

/** Calls `body(at)` for whole vectors from `begin` to `end`, then once with the number of lanes left, if any. */
export function eachVector(k: VectorBuilder, begin: I32, end: I32, body: (at: I32, count?: I32) => void): void {
  const whole = k.add(begin, k.and(k.sub(end, begin), -k.width));
  k.loop(begin, whole, (at) => body(at), k.width);
  k.if(k.lt(whole, end), () => body(whole, k.sub(end, whole)));
}

/** Lanes from `count` on become `otherwise`; a whole vector is returned as it is. */
export function firstLanes(k: VectorBuilder, value: VF, count: I32 | undefined, otherwise: number): VF {
  return count === undefined ? value : k.select(k.lt(k.iota(), k.splat(count)), value, otherwise);
}

/** The larger of two numbers lane by lane; a NaN in either is the result. */
export const largest = (k: VectorBuilder, a: VF, b: VF): VF => k.select(k.ne(b, b), b, k.max(a, b));
/** The smaller of two numbers lane by lane; a NaN in either is the result. */
export const smallest = (k: VectorBuilder, a: VF, b: VF): VF => k.select(k.ne(b, b), b, k.min(a, b));

/** One number from all lanes of a running `largest` or `smallest`. */
export function extreme(k: VectorBuilder, lanes: VF, kind: 'max' | 'min'): F32 {
  const number = kind === 'max' ? k.reduceMax(lanes) : k.reduceMin(lanes);
  return k.select(k.any(k.ne(lanes, lanes)), k.constant('f32', NaN), number);
}

/**
 * The sum of `term(at, count)` over the vectors from `begin` to `end`. Terms past `count` must be 0. Blocks of 16 steps
 * of four vectors each are summed apart and then added up, so the error grows with the number of blocks, not of terms.
 */
export function sumVectors(k: VectorBuilder, begin: I32, end: I32, term: (at: I32, count?: I32) => VF): F32 {
  const W = k.width;
  const total = k.variable('vf', 0);
  const whole = k.add(begin, k.and(k.sub(end, begin), -4 * W));
  const block = 16 * 4 * W;
  k.loop(
    begin,
    whole,
    (start) => {
      const sums = [0, 1, 2, 3].map(() => k.variable('vf', 0));
      k.loop(
        start,
        k.min(k.add(start, block), whole),
        (at) => sums.forEach((sum, i) => k.assign(sum, k.add(sum, term(i === 0 ? at : k.add(at, i * W))))),
        4 * W,
      );
      k.assign(total, k.add(total, k.add(k.add(sums[0]!, sums[1]!), k.add(sums[2]!, sums[3]!))));
    },
    block,
  );
  const rest = k.variable('vf', 0);
  eachVector(k, whole, end, (at, count) => k.assign(rest, k.add(rest, term(at, count))));
  return k.reduceAdd(k.add(total, rest));
}
