import { adafactor, adamW, lion, sgd, type NamedTensors, type Optimiser } from '../train/optimisers/index.js';
import { constantRate, cosine, inverseSquareRoot, type Schedule } from '../train/schedules.js';

const optimisers = { adamW, adafactor, lion, sgd } as const;
export type OptimiserName = keyof typeof optimisers;
export const optimiserNames = Object.keys(optimisers) as readonly OptimiserName[];

export interface OptimiserSettings {
  readonly name: OptimiserName;
  readonly options: Readonly<Record<string, unknown>>;
}

export const schedules = ['cosine', 'constant', 'inverse-square-root'] as const;

export interface ScheduleSettings {
  /** The highest rate, which a linear warm-up of so many steps leads to. */
  readonly rate: number;
  readonly warmUp: number;
  readonly schedule: (typeof schedules)[number];
  /** The share of the rate at which the cosine ends. */
  readonly floor: number;
}

/** Makes the optimiser of some parameters. @throws OptionError for options that it does not take. */
export const optimiserOf =
  ({ name, options }: OptimiserSettings) =>
  (parameters: NamedTensors): Optimiser =>
    optimisers[name](parameters, options);

/** The rate by the step. Of a cosine whose number of steps is not known yet, its warm-up alone is what it will be. */
export function scheduleOf({ schedule, rate, warmUp, floor }: ScheduleSettings, steps: number | null): Schedule {
  switch (schedule) {
    case 'cosine':
      return cosine({ peak: rate, warmUp, steps: steps ?? warmUp + 1, floor: floor * rate });
    case 'constant':
      // a cosine that does not fall
      return warmUp === 0 ? constantRate(rate) : cosine({ peak: rate, warmUp, steps: warmUp + 1, floor: rate });
    case 'inverse-square-root':
      return inverseSquareRoot({ peak: rate, warmUp });
    default:
      return schedule satisfies never;
  }
}
