import { describe, isList } from '../core/describe.js';
import { OptionError } from '../core/errors.js';
import { anything, checkValues, wholeFrom } from '../core/requirements.js';
import { checkShape } from '../core/shape.js';
import { tensor, type Tensor, type TensorOptions } from '../tensor/index.js';
import { frequenciesOf } from './frequencies.js';
import type { RopeScaling } from './scaling.js';

export interface AngleOptions {
  /** R, the number of components that turn; even. */
  readonly rotaryDim: number;
  /** First position; default 0. */
  readonly offset?: number;
  /** Default 10000. */
  readonly base?: number;
  readonly scaling?: RopeScaling;
  readonly device?: TensorOptions['device'];
}

const requirements = {
  offset: wholeFrom(0),
  base: anything,
  rotaryDim: anything,
  scaling: anything,
  device: anything,
};

/**
 * The cosines, then the sines, of rotary pairs at L positions, `[L, R]`, as `rotatePairs` takes them: `length` positions from
 * `offset` on, or the positions themselves. Computed in float64 and rounded once.
 *
 * @throws OptionError as `rope` does.
 *
 * @example
 * ropeAngles(2, { rotaryDim: 2, device }); // [1, 0, 0.5403022766113281, 0.8414709568023682]
 */
export function ropeAngles(length: number | ArrayLike<number>, options: AngleOptions): Tensor {
  const who = 'ropeAngles';
  checkValues(who, options, requirements);
  const { offset, rotaryDim, device } = options;
  if (typeof length === 'number' && typeof rotaryDim === 'number' && rotaryDim > 0)
    checkShape(who, [length, rotaryDim]);
  if (!isList(length) && !(Number.isSafeInteger(length) && length > 0)) {
    throw new OptionError(
      `${who}: length must be a whole number of at least 1, or the positions; got ${describe(length)}.`,
    );
  }
  if (typeof length !== 'number' && (offset !== undefined || length.length === 0)) {
    throw new OptionError(
      `${who}: takes a length and an offset, or a list of one or more positions; got ${offset === undefined ? 'none' : 'positions and an offset'}.`,
    );
  }
  const positions = typeof length === 'number' ? countFrom(offset ?? 0, length) : length;
  const { table } = angleTable(who, positions, options);
  return tensor(table, [positions.length, rotaryDim], { ...(device && { device }) });
}

/** L positions from `first` on. */
export function countFrom(first: number, length: number): Float64Array {
  const positions = new Float64Array(length);
  for (let i = 0; i < length; i++) positions[i] = first + i;
  return positions;
}

// positions whose angles follow from one row of whole blocks and one of steps within
const block = 128;

/**
 * Cosines, then sines, of the angles at each position. Those of position 128·b + a follow in float64 from those of 128·b and
 * of a by the sum of angles, a tenth of the work of a cosine and a sine, and exact to the rounding of the result.
 */
export function angleTable(
  who: string,
  positions: ArrayLike<number>,
  options: Pick<AngleOptions, 'base' | 'rotaryDim' | 'scaling'>,
): { readonly table: Float32Array; readonly length: number } {
  const { length } = positions;
  const last = highest(who, positions);
  const { base, rotaryDim, scaling } = options;
  const { frequencies, magnitude } = frequenciesOf(who, {
    rotaryDim,
    length: last + 1,
    ...(base !== undefined && { base }),
    ...(scaling !== undefined && { scaling }),
  });
  const table = new Float32Array(rotaryDim * length);
  const steps: (Float64Array | undefined)[] = [];
  let start = 0;
  let whole = turnsAt(start, frequencies);
  for (let at = 0; at < length; at++) {
    const within = positions[at]! % block;
    if (positions[at]! - within !== start) {
      start = positions[at]! - within;
      whole = turnsAt(start, frequencies);
    }
    writeRow(table, at * rotaryDim, whole, (steps[within] ??= turnsAt(within, frequencies)), magnitude);
  }
  return { table, length };
}

/** The highest position. @throws OptionError for one that is not a whole number of at least 0. */
function highest(who: string, positions: ArrayLike<number>): number {
  let most = 0;
  for (let i = 0; i < positions.length; i++) {
    const position = positions[i]!;
    if (!(Number.isSafeInteger(position) && position >= 0)) {
      throw new OptionError(
        `${who}: positions must be whole numbers of at least 0; got ${describe(position)} in row ${i}.`,
      );
    }
    if (position > most) most = position;
  }
  return most;
}

function turnsAt(position: number, frequencies: Float64Array): Float64Array {
  const half = frequencies.length;
  const turns = new Float64Array(2 * half);
  for (let i = 0; i < half; i++) {
    turns[i] = Math.cos(position * frequencies[i]!);
    turns[half + i] = Math.sin(position * frequencies[i]!);
  }
  return turns;
}

function writeRow(table: Float32Array, to: number, a: Float64Array, b: Float64Array, magnitude: number): void {
  const half = a.length / 2;
  for (let i = 0; i < half; i++) {
    table[to + i] = magnitude * (a[i]! * b[i]! - a[half + i]! * b[half + i]!);
    table[to + half + i] = magnitude * (a[half + i]! * b[i]! + a[i]! * b[half + i]!);
  }
}
