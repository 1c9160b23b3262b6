import { describe } from '../../core/describe.js';
import { CapabilityError, OptionError, ShapeError } from '../../core/errors.js';
import { checkValue, flag, fraction, reasonsAgainst, refuse, wholeFrom } from '../../core/requirements.js';
import { Mask } from '../../masks/index.js';
import { Score } from '../../scores/index.js';
import { commonDevice, someTensor } from '../../tensor/tensor.js';
import type { AttendOptions, Dropout } from './options.js';
import { checkOneDtype, readSizes, type AttendInputs, type AttendSizes } from './sizes.js';

/** The largest head size the kernels are built for. */
const largestHead = 256;

export interface Checked {
  readonly sizes: AttendSizes;
  readonly scale: number;
  /** undefined where nothing is dropped. */
  readonly dropout: Dropout | undefined;
}

/** The sizes and numbers of a call. @throws ShapeError, OptionError or CapabilityError with everything that does not fit. */
export function checkAttend(who: string, inputs: AttendInputs, options: AttendOptions): Checked {
  checkSettings(who, options);
  for (const [name, x] of Object.entries(inputs)) checkValue(who, name, x, someTensor);
  commonDevice(who, Object.values(inputs));
  const { sizes, faults, got } = readSizes(who, inputs);
  if (faults.length > 0) throw new ShapeError(`${who}: ${faults.join('; ')}; got ${got}.`);
  if (sizes.D > largestHead || sizes.E > largestHead) {
    throw new CapabilityError(`${who}: head sizes D and E are at most ${largestHead}; got ${got}. Use more heads.`);
  }
  checkOneDtype(who, inputs);
  const { scale = 1 / Math.sqrt(sizes.D), dropout } = options;
  return { sizes, scale, dropout: dropout !== undefined && dropout.rate > 0 ? dropout : undefined };
}

function checkSettings(who: string, { causal, mask, score, scale, dropout }: AttendOptions): void {
  if (causal !== undefined) checkValue(who, 'causal', causal, flag);
  if (mask !== undefined && !(mask instanceof Mask)) {
    throw new OptionError(`${who}: mask must be a Mask, such as within({ radius: 256 }) or mask(({ q, k }) => …).`);
  }
  if (scale !== undefined && !Number.isFinite(scale)) {
    throw new OptionError(`${who}: scale must be a finite number; got ${describe(scale)}. Leave it out for 1/√D.`);
  }
  if (dropout !== undefined) {
    const faults = reasonsAgainst(dropout, { rate: fraction, seed: wholeFrom(0) }, ['rate', 'seed']);
    refuse(
      who,
      faults.map((reason) => `dropout.${reason}`),
    );
  }
  if (score !== undefined && !(score instanceof Score)) {
    throw new OptionError(`${who}: score must be a Score, such as softcap(30) or score(({ score }) => …).`);
  }
}
