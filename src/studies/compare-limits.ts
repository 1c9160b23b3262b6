import { type AnyOptions, rehearse } from '../attention/index.js';
import type { Device } from '../devices/index.js';
import { blankRow, type CompareRow, predictedOf } from './compare-row.js';
import { type SceneOptions, shapeOf } from './compare-scene.js';
import { callOf, refusal, type Variant } from './mechanisms.js';

/** What will run at a length, or why it will not. */
export interface Plan {
  readonly variant: Variant;
  readonly call: AnyOptions;
  /** With what is predicted. */
  readonly row: CompareRow;
  readonly skipped: string | undefined;
}

interface Limits extends SceneOptions {
  readonly device: Device;
  readonly heads: number;
  readonly headDim: number;
  readonly memoryLimit: number;
}

/** Rehearses a variant at a length: whether it takes the shape, what it will take, and whether that is too much. */
export function planRow(variant: Variant, length: number, limits: Limits): Plan {
  const { device, heads, headDim, training, memoryLimit, causal } = limits;
  const shape = shapeOf(heads, headDim, length);
  const blank = blankRow(variant, length, causal);
  const call = callOf(variant, limits);
  const refused = refusal(variant, shape, call);
  if (refused !== undefined) return { variant, call, row: blank, skipped: refused };
  const { mechanism } = variant;
  const limit = Math.min(memoryLimit, device.info.memoryLimit ?? Infinity);
  const attempt = (one: AnyOptions) => ({
    call: one,
    rehearsal: rehearse(mechanism, shape, one, { training, like: device.info }),
  });
  let tried = attempt(call);
  for (const headsAtATime of fewerHeads(variant, heads)) {
    if (tried.rehearsal.peakBytes <= limit) break;
    tried = attempt({ ...call, headsAtATime });
  }
  const { rehearsal } = tried;
  const cost = mechanism.cost(shape, tried.call);
  const row = {
    ...blank,
    predicted: predictedOf(rehearsal, cost),
    pairsShare: cost.pairs === undefined ? null : cost.pairs / (heads * length * length),
  };
  if (rehearsal.peakBytes > limit) {
    const why = `it would hold ${room(rehearsal.peakBytes)}; the limit is ${room(limit)}`;
    return { variant, call, row, skipped: why };
  }
  const notes = tried.call === call ? [] : [`${String(tried.call['headsAtATime'])} of ${heads} heads at a time`];
  return { variant, call: tried.call, row: { ...row, notes }, skipped: undefined };
}

/** Standard attention may take its heads one after the other where the matrices of all are too large. */
function fewerHeads({ mechanism, options }: Variant, heads: number): number[] {
  if (!('headsAtATime' in mechanism.definition.options) || 'headsAtATime' in options) return [];
  return Array.from({ length: heads - 1 }, (_, i) => heads - 1 - i).filter((count) => heads % count === 0);
}

/** Where time is limited, nothing but flash, which all are compared with, is begun that would take longer. */
const longestMilliseconds = 4000;

/** Whether there is time for more, going by what was measured so far. The first length always runs. */
export class Clock {
  readonly #start = performance.now();
  /** The last timed row of each name. */
  readonly #last = new Map<string, CompareRow>();
  #reference = { length: 0, milliseconds: 0 };

  /** `seconds`: undefined where time does not matter. */
  constructor(readonly seconds: number | undefined) {}

  /** `referenceMilliseconds`: what the float64 rows of this length took. */
  lap(rows: readonly CompareRow[], referenceMilliseconds: number): void {
    for (const row of rows) if (row.milliseconds !== null) this.#last.set(row.name, row);
    this.#reference = { length: rows[0]!.length, milliseconds: referenceMilliseconds };
  }

  /** The plans, those that would take too long left out; and why the whole length is not begun, if so. */
  review(plans: readonly Plan[], length: number): { readonly plans: readonly Plan[]; readonly refused?: string } {
    const { seconds } = this;
    if (seconds === undefined || this.#last.size === 0) return { plans };
    const { length: before, milliseconds } = this.#reference;
    let expected = performance.now() - this.#start + (milliseconds * length) / before;
    const kept = plans.map((plan) => {
      const time = this.#expected(plan);
      if (plan.skipped !== undefined || plan.row.mechanism === 'flash' || time <= longestMilliseconds) {
        // a checked run and a timed one; compiling belongs to the first length
        if (plan.skipped === undefined) expected += 2.5 * time;
        return plan;
      }
      const why = `it would take about ${Math.round(time / 1000)} s; the limit is ${longestMilliseconds / 1000} s`;
      return { ...plan, skipped: why };
    });
    if (expected <= 1000 * seconds) return { plans: kept };
    return {
      plans: kept,
      refused: `it might end only after ${Math.round(expected / 1000)} s; the limit is ${Math.round(seconds)} s`,
    };
  }

  #expected({ row }: Plan): number {
    const last = this.#last.get(row.name);
    if (last === undefined) return 0;
    const work = row.predicted!.multiplyAdds / (last.predicted!.multiplyAdds || 1);
    return last.milliseconds! * Math.max(row.length / last.length, work);
  }
}

function room(bytes: number): string {
  if (bytes >= 1e9) return `${(bytes / 1e9).toFixed(1)} GB`;
  return bytes >= 1e6 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e3).toFixed(1)} kB`;
}
