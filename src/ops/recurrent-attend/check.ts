import { describe } from '../../core/describe.js';
import { OptionError, ShapeError } from '../../core/errors.js';
import { checkValues, listOfNumbers, type Requirements } from '../../core/requirements.js';
import { sameShape, show } from '../../core/shape.js';
import { commonDevice, someTensor, type Tensor } from '../../tensor/index.js';
import type { RecurrentSpec } from '../../kernels/recurrent/spec.js';

export interface RecurrentAttendOptions {
  /** `[B,H,n]` or, for each row of the state, `[B,H,n,M]`: the finite logarithm of what is left of it at position t, before t writes. */
  readonly decay?: Tensor;
  /** `[B,H,n]`: how much of the difference to what key t would read is written (the delta rule); default: the value as it is. */
  readonly beta?: Tensor;
  /** `[B,H,M,E]`: the state before the first position, as `state` of an earlier call; default 0. */
  readonly initialState?: Tensor;
  /** Positions computed at a time, 1 … 16: changes rounding and speed, not the result. */
  readonly chunk?: number;
  /** Positions of each batch that exist; the others change nothing, and their rows are 0. Default n. */
  readonly lengths?: readonly number[];
}

export interface RecurrentShape {
  readonly B: number;
  readonly H: number;
  readonly n: number;
  readonly M: number;
  readonly E: number;
  readonly decay: RecurrentSpec['decay'];
}

const who = 'recurrentAttend';
const requirements: Requirements = {
  decay: someTensor,
  beta: someTensor,
  initialState: someTensor,
  chunk: {
    must: 'a whole number from 1 to 16',
    holds: (x) => Number.isInteger(x) && (x as number) >= 1 && (x as number) <= 16,
  },
  lengths: listOfNumbers,
};

/** The shape of a call. @throws ShapeError or OptionError with everything that does not fit. */
export function checkRecurrent(q: Tensor, k: Tensor, v: Tensor, options: RecurrentAttendOptions): RecurrentShape {
  checkValues(who, options, requirements);
  const { decay, beta, initialState, lengths } = options;
  commonDevice(who, [q, k, v]);
  const given = Object.entries({ q, k, v, decay, beta, initialState }).filter(([, x]) => x !== undefined);
  commonDevice(
    who,
    given.map(([, x]) => x!),
  );
  const got = `got ${given.map(([name, x]) => `${name}=${show(x!.shape)}`).join(', ')}`;
  if (q.rank !== 4) throw new ShapeError(`${who}: q must be [B,H,n,M]; ${got}.`);
  const [B, H, n, M] = q.shape as [number, number, number, number];
  const E = v.shape.at(-1) ?? 0;
  const must = (name: string, x: Tensor | undefined, letters: string, ...shapes: readonly (readonly number[])[]) =>
    x &&
    !shapes.some((shape) => sameShape(x.shape, shape)) &&
    `${name} must be ${letters} = ${shapes.map(show).join(' or ')}`;
  const faults = [
    must('k', k, '[B,H,n,M]', [B, H, n, M]),
    must('v', v, '[B,H,n,E]', [B, H, n, E]),
    must('decay', decay, '[B,H,n] or [B,H,n,M]', [B, H, n], [B, H, n, M]),
    must('beta', beta, '[B,H,n]', [B, H, n]),
    must('initialState', initialState, '[B,H,M,E]', [B, H, M, E]),
  ].filter((fault) => typeof fault === 'string');
  if (faults.length > 0) throw new ShapeError(`${who}: ${faults.join('; ')}; ${got}.`);
  const others = given.filter(([, x]) => x!.dtype !== 'f32').map(([name, x]) => `${name} is ${x!.dtype}`);
  if (others.length > 0) throw new OptionError(`${who}: takes f32; ${others.join(', ')}. Use cast.`);
  if (lengths && (lengths.length !== B || !lengths.every((x) => Number.isInteger(x) && x >= 0 && x <= n))) {
    throw new OptionError(
      `${who}: lengths must be one whole number from 0 to n = ${n} for each of the ${B} batches; got ${describe(lengths)}.`,
    );
  }
  return { B, H, n, M, E, decay: decay === undefined ? 'none' : decay.rank === 4 ? 'feature' : 'head' };
}
