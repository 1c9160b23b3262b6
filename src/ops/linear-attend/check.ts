import { describe } from '../../core/describe.js';
import { OptionError, ShapeError } from '../../core/errors.js';
import { callable, checkValues, flag, listOfNumbers, notNegative, type Requirements } from '../../core/requirements.js';
import { sameShape, show } from '../../core/shape.js';
import { commonDevice, someTensor, type Tensor } from '../../tensor/index.js';
import { checkOneDtype, readSizes, type AttendSizes } from '../attend/sizes.js';
import type { LinearAttendOptions } from './options.js';

/** `M`: columns of q and k, the features. */
export interface LinearShape extends Omit<AttendSizes, 'D'> {
  readonly M: number;
}

const requirements: Requirements = {
  causal: flag,
  normalise: flag,
  eps: notNegative,
  initialState: someTensor,
  decay: someTensor,
  chunk: {
    must: 'a whole number from 1 to 1024',
    holds: (x) => Number.isInteger(x) && (x as number) >= 1 && (x as number) <= 1024,
  },
  lengths: listOfNumbers,
  onRowsLost: callable,
};

/** The shape of a call. @throws ShapeError or OptionError with everything that does not fit. */
export function checkLinear(q: Tensor, k: Tensor, v: Tensor, options: LinearAttendOptions): LinearShape {
  checkValues('linearAttend', options, requirements);
  const { initialState, decay, normalise = true, causal = false } = options;
  commonDevice('linearAttend', [q, k, v]);
  const given = Object.entries({ q, k, v, initialState, decay }).filter(([, x]) => x !== undefined);
  const tensors = given.map(([, x]) => x as Tensor);
  commonDevice('linearAttend', tensors);
  const got = `got ${given.map(([name, x]) => `${name}=${show((x as Tensor).shape)}`).join(', ')}`;
  const read = readSizes('linearAttend', { q, k, v }, { name: 'features', letter: 'M' });
  const { D: M, ...sizes } = read.sizes;
  const { B, H, S, E } = sizes;
  const state = [B, H, M, normalise ? E + 1 : E];
  const faults = [
    ...read.faults,
    initialState &&
      !sameShape(initialState.shape, state) &&
      `initialState must be [B,H,M,${normalise ? 'E+1' : 'E'}] = ${show(state)}`,
    decay && !sameShape(decay.shape, [B, H, S]) && `decay must be [B,H,S] = ${show([B, H, S])}`,
  ].filter((fault) => typeof fault === 'string');
  if (faults.length > 0) throw new ShapeError(`linearAttend: ${faults.join('; ')}; ${got}.`);
  checkOneDtype('linearAttend', { q, k, v });
  if ([initialState, decay].some((x) => x !== undefined && x.dtype !== 'f32')) {
    throw new OptionError('linearAttend: initialState and decay must be f32; use cast.');
  }
  if (decay && !causal) throw new OptionError('linearAttend: decay needs { causal: true }.');
  checkLengths(options, { B, S });
  return { ...sizes, M };
}

function checkLengths({ lengths }: LinearAttendOptions, { B, S }: { B: number; S: number }): void {
  if (lengths === undefined) return;
  if (lengths.length !== B || !Array.from(lengths).every((n) => Number.isInteger(n) && n >= 0 && n <= S)) {
    throw new OptionError(
      `linearAttend: lengths must be one whole number from 0 to S = ${S} for each of the ${B} batches; got ${describe(lengths)}.`,
    );
  }
}
