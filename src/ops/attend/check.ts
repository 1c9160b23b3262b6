import { isPlainObject } from '../../core/describe.js';
import { CapabilityError, ShapeError } from '../../core/errors.js';
import {
  checkValue,
  finite,
  flag,
  fraction,
  made,
  plainObject,
  reasonsAgainst,
  refuse,
  type Requirements,
  wholeFrom,
} from '../../core/requirements.js';
import { Mask } from '../../masks/index.js';
import { Score } from '../../scores/index.js';
import { commonDevice, someTensor } from '../../tensor/tensor.js';
import type { AttendOptions, Dropout } from './options.js';
import { checkOneDtype, readSizes, type AttendInputs, type AttendSizes } from './sizes.js';

/** The largest head sizes that the kernels are tried with: values stay in registers and scratch, queries and keys are read through. */
const largest = { D: 2048, E: 256 };

export interface Checked {
  readonly sizes: AttendSizes;
  readonly scale: number;
  /** undefined where nothing is dropped. */
  readonly dropout: Dropout | undefined;
}

/** What the options of `attend` must be. */
export const attendOptions: Requirements = {
  causal: flag,
  mask: made('a Mask, such as within({ radius: 256 }) or mask(({ q, k }) => …)', Mask),
  score: made('a Score, such as softcap(30) or score(({ score }) => …)', Score),
  scale: finite,
  dropout: plainObject,
};
const ofDropout: Requirements = { rate: fraction, seed: wholeFrom(0) };

/** The sizes and numbers of a call. @throws ShapeError, OptionError or CapabilityError with everything that does not fit. */
export function checkAttend(
  who: string,
  inputs: AttendInputs,
  options: Omit<AttendOptions, 'score'>,
  requirements = attendOptions,
): Checked {
  checkSettings(who, options, requirements);
  for (const [name, x] of Object.entries(inputs)) checkValue(who, name, x, someTensor);
  commonDevice(who, Object.values(inputs));
  const { sizes, faults, got } = readSizes(who, inputs);
  if (faults.length > 0) throw new ShapeError(`${who}: ${faults.join('; ')}; got ${got}.`);
  if (sizes.D > largest.D || sizes.E > largest.E) {
    throw new CapabilityError(
      `${who}: head size D is at most ${largest.D}, and E at most ${largest.E}; got ${got}. Use more heads.`,
    );
  }
  checkOneDtype(who, inputs);
  const { scale = 1 / Math.sqrt(sizes.D), dropout } = options;
  return { sizes, scale, dropout: dropout !== undefined && dropout.rate > 0 ? dropout : undefined };
}

function checkSettings(who: string, options: Omit<AttendOptions, 'score'>, requirements: Requirements): void {
  const { dropout } = Object(options) as typeof options;
  const reasons = isPlainObject(dropout) ? reasonsAgainst(dropout, ofDropout, ['rate', 'seed'], 'dropout') : [];
  refuse(who, [...reasonsAgainst(options, requirements), ...reasons]);
}
