import { describe } from '../../core/describe.js';
import { OptionError, ShapeError } from '../../core/errors.js';
import { callable, checkValues, flag, listOfNumbers, notNegative, type Requirements } from '../../core/requirements.js';
import { sameShape, show } from '../../core/shape.js';
import { commonDevice, someTensor, type Tensor } from '../../tensor/index.js';
import type { LinearAttendOptions } from './options.js';

export interface LinearShape {
  readonly B: number;
  readonly H: number;
  readonly G: number;
  readonly L: number;
  readonly S: number;
  readonly M: number;
  readonly E: number;
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
  if ([q, k, v].some((x) => x.rank !== 4)) {
    throw new ShapeError(`linearAttend: q must be [B,H,L,M], k [B,G,S,M] and v [B,G,S,E]; ${got}.`);
  }
  const [B, H, L, M] = q.shape as [number, number, number, number];
  const [, G, S] = k.shape as [number, number, number, number];
  const E = v.shape[3]!;
  const state = [B, H, M, normalise ? E + 1 : E];
  const faults = [
    (k.shape[0] !== B || v.shape[0] !== B) && 'q, k and v must have one batch size B',
    k.shape[3] !== M && 'k must have the features M of q',
    (v.shape[1] !== G || v.shape[2] !== S) && 'v must have the heads G and the length S of k',
    H % G !== 0 && `the ${G} key/value heads must divide the ${H} query heads`,
    initialState &&
      !sameShape(initialState.shape, state) &&
      `initialState must be [B,H,M,${normalise ? 'E+1' : 'E'}] = ${show(state)}`,
    decay && !sameShape(decay.shape, [B, H, S]) && `decay must be [B,H,S] = ${show([B, H, S])}`,
  ].filter((fault) => typeof fault === 'string');
  if (faults.length > 0) throw new ShapeError(`linearAttend: ${faults.join('; ')}; ${got}.`);
  const kinds = [...new Set([q.dtype, k.dtype, v.dtype])];
  if (kinds.length > 1 || !['f32', 'f16', 'bf16'].includes(kinds[0]!)) {
    throw new OptionError(
      `linearAttend: q, k and v must share one float dtype; got ${[q, k, v].map((x) => x.dtype).join(', ')}. Use cast.`,
    );
  }
  if ([initialState, decay].some((x) => x !== undefined && x.dtype !== 'f32')) {
    throw new OptionError('linearAttend: initialState and decay must be f32; use cast.');
  }
  if (decay && !causal) throw new OptionError('linearAttend: decay needs { causal: true }.');
  checkLengths(options, { B, S });
  return { B, H, G, L, S, M, E };
}

function checkLengths({ lengths }: LinearAttendOptions, { B, S }: { B: number; S: number }): void {
  if (lengths === undefined) return;
  if (lengths.length !== B || !Array.from(lengths).every((n) => Number.isInteger(n) && n >= 0 && n <= S)) {
    throw new OptionError(
      `linearAttend: lengths must be one whole number from 0 to S = ${S} for each of the ${B} batches; got ${describe(lengths)}.`,
    );
  }
}
