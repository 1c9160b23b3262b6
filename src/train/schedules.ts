import { describe } from '../core/describe.js';
import { OptionError } from '../core/errors.js';
import { checkValues, notNegative, positive, reasonsAgainst, refuse, wholeFrom } from '../core/requirements.js';

/** The learning rate of a step. Steps are counted from 1, so that the first of a warm-up is not lost to a rate of 0. */
export type Schedule = (step: number) => number;

export interface WarmUpOptions {
  /** The highest rate, above 0. */
  readonly peak: number;
  /** Steps of the warm-up, in which the rate grows from `peak/warmUp` to `peak`; default 0. */
  readonly warmUp?: number;
}
export interface CosineOptions extends WarmUpOptions {
  /** The step at which the floor is reached; the rate then stays there. */
  readonly steps: number;
  /** The lowest rate after the warm-up; default 0. */
  readonly floor?: number;
}

/** The same rate at every step. @throws OptionError for a rate that is not above 0. */
export function constantRate(rate: number): Schedule {
  refuse('constantRate', reasonsAgainst({ rate }, { rate: positive }, ['rate']));
  return schedule('constantRate', () => rate);
}

/**
 * `peak·t/w` up to the warm-up's end w, then `floor + (peak − floor)·(1 + cos(π·(t − w)/(steps − w)))/2` up to `steps`,
 * then `floor`. (One period of Loshchilov, Hutter 2017, arXiv 1608.03983.)
 *
 * @throws OptionError naming every option that is not defined, a warm-up that leaves no step, or a floor above the peak.
 */
export function cosine(options: CosineOptions): Schedule {
  const requirements = { peak: positive, warmUp: wholeFrom(0), steps: wholeFrom(1), floor: notNegative };
  const reasons = [...reasonsAgainst(options, requirements, ['peak', 'steps'])];
  const { peak, warmUp = 0, steps, floor = 0 } = Object(options) as CosineOptions;
  const above = (a: unknown, b: unknown): boolean => typeof a === 'number' && typeof b === 'number' && a > b;
  if (warmUp === steps || above(warmUp, steps))
    reasons.push(`warmUp must be below steps; got ${describe(warmUp)} of ${describe(steps)}`);
  if (above(floor, peak)) reasons.push(`floor must be at most peak; got ${floor} and ${peak}`);
  refuse('cosine', reasons);
  return schedule('cosine', (t) => {
    if (t <= warmUp) return (peak * t) / warmUp;
    const passed = Math.min(1, (t - warmUp) / (steps - warmUp));
    return floor + ((peak - floor) * (1 + Math.cos(Math.PI * passed))) / 2;
  });
}

/**
 * `peak·min(t/w, √(w/t))` with the warm-up w (1 where it is 0): a linear rise, then the inverse square root of the step.
 * (Vaswani et al. 2017, arXiv 1706.03762, whose `d^−0.5·min(t^−0.5, t·w^−1.5)` it is for `peak = 1/√(d·w)`.)
 *
 * @throws OptionError naming every option that is not defined.
 */
export function inverseSquareRoot(options: WarmUpOptions): Schedule {
  checkValues('inverseSquareRoot', options, { peak: positive, warmUp: wholeFrom(0) }, ['peak']);
  const { peak, warmUp = 0 } = options;
  const w = Math.max(1, warmUp);
  return schedule('inverseSquareRoot', (t) => peak * Math.min(t / w, Math.sqrt(w / t)));
}

function schedule(who: string, rate: Schedule): Schedule {
  return (step) => {
    if (!Number.isSafeInteger(step) || step < 1) {
      throw new OptionError(`${who}: steps are whole numbers from 1; got ${String(step)}.`);
    }
    return rate(step);
  };
}
