import type { Variable, VectorBuilder, VF } from '../../codegen/vector.js';
import type { AttendTiles } from '../attend/layout.js';
import { anyAbove, eachLane, keepLine, lineBytes, type KeptLines } from './kept.js';
import type { Weights } from './spec.js';

/** Newton's method has quadratic convergence; from scores of any spread it takes about ten steps. */
const mostSteps = 64;

/**
 * The threshold of each lane, `Σ_j (x_j − τ)_+^p = 1`, from `tau` below it, by Newton's method on the p-norm of (x − τ)_+: it is convex in
 * τ and falls, so steps never pass the root, and for p = 1 they end at it (Michelot 1986). Lines that fall below the thresholds of all lanes
 * are let go. Near the root the step is that of the sum itself, of which rounding leaves more than of its p-th root. What a lane finds does
 * not depend on the others: their lines add 0 to its sums, and at its end its steps are 0.
 */
export function findThresholds(
  k: VectorBuilder,
  t: AttendTiles,
  kept: KeptLines,
  weights: Weights,
  tau: readonly Variable<'vf'>[],
): void {
  const going = k.variable('i32', 1);
  const steps = k.variable('i32', 0);
  k.while(
    () => k.and(going, k.lt(steps, mostSteps)),
    () => {
      const sums = tau.map(() => k.variable('vf', 0));
      const slopes = tau.map(() => k.variable('vf', 0));
      const all = k.variable('i32', kept.count);
      k.assign(kept.count, 0);
      k.loop(0, all, (j) => {
        const line = k.offset(kept.lines, j, lineBytes(t));
        const key = k.loadI32(k.offset(kept.keys, j, 4));
        const values = eachLane(k, t, (at) => k.loadVF(line, at));
        values.forEach((value, v) => {
          const { weight, slope } = weights.of(k.sub(value, tau[v]!));
          k.assign(sums[v]!, k.add(sums[v]!, weight));
          k.assign(slopes[v]!, k.add(slopes[v]!, slope));
        });
        keepLine(k, t, kept, { values, key, keep: anyAbove(k, values, tau) });
      });
      const next = tau.map((old, v) => {
        const sum = sums[v]!;
        const norm = weights.root(sum);
        const far = k.div(k.mul(k.sub(norm, 1), sum), k.mul(norm, slopes[v]!));
        const near = k.div(k.sub(sum, 1), k.mul(weights.power, slopes[v]!));
        const step = k.select(k.gt(sum, 1.25), far, near);
        return k.add(old, step);
      });
      const grew = next.map((value, v) => k.gt(value, tau[v]!));
      next.forEach((value, v) => k.assign(tau[v]!, k.select(grew[v]!, value, tau[v]! as VF)));
      k.assign(going, k.any(grew.reduce((a, b) => k.or(a, b))));
      k.assign(steps, k.add(steps, 1));
    },
  );
}
