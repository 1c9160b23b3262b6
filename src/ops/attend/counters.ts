import { memoised } from '../../core/memo.js';
import { countPairs } from '../../masks/count.js';
import type { Tensor } from '../../tensor/tensor.js';
import type { AttendCounters } from './options.js';
import type { AttendPlan, PlanPart } from './plan.js';

/** What a call computes and moves, added to the counters of its device; `tensors` are q, k, v, out and logsumexp. */
export function counted(plan: AttendPlan, tensors: readonly Tensor[]): AttendCounters {
  const total = (of: (part: PlanPart) => number): number => plan.parts.reduce((sum, part) => sum + of(part), 0);
  const counters: AttendCounters = {
    // counted when asked for: a rule without structure takes a look at every pair of a partial tile
    get pairsNeeded() {
      return pairsNeeded(plan);
    },
    pairsVisited: total(({ visited }) => visited.pairs),
    tiles: {
      empty: total(({ visited }) => visited.tiles.empty),
      full: total(({ visited }) => visited.tiles.full),
      partial: total(({ visited }) => visited.tiles.partial),
    },
    multiplyAdds: total(({ visited, spec }) => visited.pairs * (spec.D + spec.E)),
    bytes: tensors.reduce((sum, x) => sum + x.byteLength, 0),
  };
  const sums = tensors[0]!.device.counters;
  sums.bytesMoved += counters.bytes;
  // what a device wants to know was computed beyond the mask
  if (sums.wastedMultiplyAdds !== undefined) {
    const { D, E } = plan.parts[0]!.spec;
    sums.wastedMultiplyAdds += counters.multiplyAdds - counters.pairsNeeded * (D + E);
  }
  return counters;
}

const pairsNeeded = memoised(({ mask, shape }: AttendPlan): number => countPairs(mask, shape));
