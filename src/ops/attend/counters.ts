import type { Expression } from '../../codegen/expression/index.js';
import type { Device } from '../../devices/device.js';
import { countPairs } from '../../masks/count.js';
import type { AttendShape } from '../../masks/index.js';
import type { Tensor } from '../../tensor/tensor.js';
import type { AttendCounters } from './options.js';
import type { AttendPlan } from './plan.js';

/** Counts of a call made of `plans`, whose mask is `mask`. */
export function countersOf(
  plans: readonly AttendPlan[],
  mask: Expression | null,
  shape: AttendShape,
  tensors: readonly Tensor[],
): AttendCounters {
  const total = (of: (plan: AttendPlan) => number): number => plans.reduce((sum, plan) => sum + of(plan), 0);
  let needed: number | undefined;
  return {
    // counted when asked for: a rule without structure takes a look at every pair of a partial tile
    get pairsNeeded() {
      return (needed ??= countPairs(mask, shape));
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
}

/** Adds what a call moved to the device's counters and, where they ask for it, what it computed beyond its mask. */
export function tally({ counters: total }: Device, counters: AttendCounters, perPair: number): void {
  total.bytesMoved += counters.bytes;
  if (total.wastedMultiplyAdds !== undefined) {
    total.wastedMultiplyAdds += counters.multiplyAdds - counters.pairsNeeded * perPair;
  }
}
