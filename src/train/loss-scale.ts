import { FormatError } from '../core/errors.js';
import { checkValues, refuse, wholeFrom, type Requirement } from '../core/requirements.js';

export interface LossScaleOptions {
  /** The scale of the first step; default 65536. */
  readonly initial?: number;
  /** What the scale is multiplied by after `growthInterval` good steps in a row, at least 1; default 2. */
  readonly growthFactor?: number;
  /** What the scale is multiplied by after an overflow, at most 1; default 0.5. */
  readonly backoffFactor?: number;
  /** Default 2000; infinite: the scale never grows. */
  readonly growthInterval?: number;
  /** The scale does not fall below it; default 1. */
  readonly minimum?: number;
}

/** What a checkpoint keeps of a scale: JSON. */
export type LossScaleState = {
  readonly scale: number;
  /** Steps without an overflow since the scale last changed. */
  readonly goodSteps: number;
};

export interface LossScaler {
  /** What the loss of the next step is multiplied by, a power of two. */
  readonly scale: number;
  /** Whether an overflow lowers it. Where not, one is no matter of scale: the step is wrong. */
  readonly canFall: boolean;
  /** Tells the scale whether the gradients of a step held a NaN or an infinity, so that the step was skipped. */
  update(overflowed: boolean): void;
  state(): LossScaleState;
  /** @throws FormatError, with nothing changed, for what `state` cannot have given. */
  load(state: unknown): void;
}

/** Powers of two that f32 holds: scaling by them and back is exact. */
const isPowerOfTwo = (value: unknown): value is number =>
  typeof value === 'number' && value >= 2 ** -126 && value <= 2 ** 127 && 2 ** Math.round(Math.log2(value)) === value;

const powerOfTwo = (range: string, inside: (x: number) => boolean): Requirement => ({
  must: `a power of two${range}`,
  holds: (value) => isPowerOfTwo(value) && inside(value),
});

const requirements = {
  initial: powerOfTwo('', () => true),
  growthFactor: powerOfTwo(' of at least 1', (x) => x >= 1),
  backoffFactor: powerOfTwo(' of at most 1', (x) => x <= 1),
  growthInterval: {
    must: 'a whole number of at least 1, or Infinity',
    holds: (value) => value === Infinity || wholeFrom(1).holds(value),
  },
  minimum: powerOfTwo('', () => true),
} as const satisfies Readonly<Record<keyof LossScaleOptions, Requirement>>;

/**
 * The dynamic scale of the loss in mixed precision: multiply the loss by `scale` before the backward pass, divide the gradients by it
 * before anything is made of them (`unscale` of `clipGradients`), skip the step where one is not finite, and say so to
 * `update`. An overflow halves the scale; 2000 steps without one double it. Gradients that would vanish in f16 then do not, and
 * since all is a power of two, nothing is rounded by it. (Micikevicius et al. 2017, "Mixed Precision Training", arXiv 1710.03740;
 * defaults are those of `GradScaler` in PyTorch.)
 *
 * Relative to them: gradients of this library are f32 whatever the activations are stored as, so a scale guards the smallest
 * ones only where they leave f32; and the scale has a floor, so that an overflow of the forward pass, which no scale mends,
 * is not taken for one of the gradients for ever.
 *
 * `growthInterval: Infinity, backoffFactor: 1` is a static scale, with `initial: 1` none.
 *
 * @throws OptionError naming every option that is not defined, or an initial scale below the minimum.
 */
export function lossScaler(options: LossScaleOptions = {}): LossScaler {
  checkValues('lossScaler', options, requirements);
  const { initial = 2 ** 16, growthFactor = 2, backoffFactor = 0.5, growthInterval = 2000, minimum = 1 } = options;
  if (initial < minimum) refuse('lossScaler', [`initial must be at least minimum; got ${initial} and ${minimum}`]);
  let scale = initial;
  let goodSteps = 0;
  return {
    get scale() {
      return scale;
    },
    get canFall() {
      return backoffFactor < 1 && scale > minimum;
    },
    update(overflowed) {
      if (overflowed) {
        scale = Math.max(minimum, scale * backoffFactor);
        goodSteps = 0;
      } else if (++goodSteps >= growthInterval) {
        scale = Math.min(largest, scale * growthFactor);
        goodSteps = 0;
      }
    },
    state: () => ({ scale, goodSteps }),
    load(state) {
      const { scale: next, goodSteps: count } = (state ?? {}) as Partial<LossScaleState>;
      const fits = isPowerOfTwo(next) && next >= minimum && wholeFrom(0).holds(count) && count! < growthInterval;
      if (!fits) {
        throw new FormatError(
          `lossScaler: a state is { scale, goodSteps }: a power of two of at least ${minimum}, and a whole number below ` +
            `${growthInterval}; got ${JSON.stringify(state)}.`,
        );
      }
      scale = next;
      goodSteps = count!;
    },
  };
}

/** Beyond it a scale is no f32. */
const largest = 2 ** 127;
