import { constant, select, variable } from '../../codegen/expression/index.js';
import type { NamedTensors } from '../../attention/index.js';
import { div, map, mean, reshape, scatterRows, sum } from '../../ops/index.js';
import { noGradient, scope, type Tensor } from '../../tensor/index.js';

const isRead = select(variable('x0', 'f32').gt(0), constant(1, 'f32'), constant(0, 'f32'));

/**
 * How evenly a batch reads a memory of `count` values, by the weights `[..., n]` that each read had and the values `slots`, i32 of that shape:
 *
 * - `used`: the share of all values that were read with a weight above 0
 * - `usageKl`: `ln count + Σ_i u_i·ln u_i`, in nats, of the share u_i that value i has of all weights: 0 where all are read alike, ln count
 *   where one is read (Lample et al. 2019, arXiv 1907.05242, section 4.4)
 */
export const usageOf = (weights: Tensor, slots: Tensor, count: number): NamedTensors =>
  noGradient(() =>
    scope(() => {
      const sums = scatterRows(reshape(weights, [weights.size, 1]), reshape(slots, [slots.size]), count);
      const shares = div(sums, sum(sums));
      return {
        used: mean(map(isRead, sums)),
        usageKl: map((x) => x.add(Math.log(count)), sum(map((u) => u.mul(u.max(2 ** -126).log()), shares))),
      };
    }),
  );
