import { describe, isList } from '../core/describe.js';
import { OptionError } from '../core/errors.js';
import { anything, checkValue, checkValues, finite, listOfNumbers, oneOf } from '../core/requirements.js';
import { checkShape } from '../core/shape.js';
import { tensor, type Tensor, type TensorOptions } from '../tensor/index.js';
import { someBase } from './frequencies.js';

/**
 * `'paper'`: sine and cosine of each pair side by side, `base^(−2i/D)`. `'transformer-xl'`: the same angles, all sines before
 * all cosines. `'tensor2tensor'`: sines before cosines, with the last pair at exactly 1/base, and a 0 after an odd D.
 */
export type SinusoidalVariant = 'paper' | 'transformer-xl' | 'tensor2tensor';

export const sinusoidalVariants: readonly SinusoidalVariant[] = ['paper', 'transformer-xl', 'tensor2tensor'];

export interface SinusoidalOptions {
  /** Default `'paper'`. */
  readonly variant?: SinusoidalVariant;
  /** Default 10000. */
  readonly base?: number;
  /** Position of the first row; default 0. */
  readonly offset?: number;
  readonly device?: TensorOptions['device'];
}

const requirements = {
  variant: oneOf(sinusoidalVariants),
  base: someBase,
  offset: finite,
  device: anything,
};

/**
 * Sinusoidal position embeddings `[L, D]`: `sin(p / base^(2i/D))` and `cos(p / base^(2i/D))` of the positions p, to be added to
 * embeddings. (Vaswani et al. 2017, arXiv 1706.03762.) `length` is L, or the positions themselves: any finite numbers, such as
 * distances.
 *
 * Products of two rows depend only on the difference of their positions, and the square of each is D/2.
 *
 * @throws OptionError for sizes that are no whole numbers of at least 1, an odd D (except in `'tensor2tensor'`), or positions
 * that are not finite.
 *
 * @example
 * sinusoidal(1, 4, { device }); // [0, 1, 0, 1]
 */
export function sinusoidal(length: number | ArrayLike<number>, dim: number, options: SinusoidalOptions = {}): Tensor {
  checkValues('sinusoidal', options, requirements);
  const { variant = 'paper', base = 10000, offset = 0, device } = options;
  // before anything that large is made
  if (typeof length === 'number' && length > 0 && Number.isInteger(dim)) checkShape('sinusoidal', [length, dim]);
  const positions = positionsOf(length, offset);
  const table = sinusoidalRows(positions, dim, { variant, base });
  return tensor(table, [positions.length, dim], { ...(device && { device }) });
}

/** The same rows on the host. */
export function sinusoidalRows(
  positions: ArrayLike<number>,
  dim: number,
  { variant = 'paper', base = 10000 }: Pick<SinusoidalOptions, 'variant' | 'base'> = {},
): Float32Array {
  const frequencies = frequenciesOf(variant, dim, base);
  const half = frequencies.length;
  const table = new Float32Array(positions.length * dim);
  Array.from(positions, (position, row) => {
    frequencies.forEach((frequency, i) => {
      const [sine, cosine] = variant === 'paper' ? [2 * i, 2 * i + 1] : [i, half + i];
      table[row * dim + sine] = Math.sin(position * frequency);
      table[row * dim + cosine] = Math.cos(position * frequency);
    });
  });
  return table;
}

function frequenciesOf(variant: SinusoidalVariant, dim: number, base: number): Float64Array {
  const even = Number.isInteger(dim) && dim >= 2 && dim % 2 === 0;
  if (!(even || (variant === 'tensor2tensor' && Number.isInteger(dim) && dim >= 2))) {
    throw new OptionError(
      `sinusoidal: dim must be an even whole number of at least 2 for variant ${describe(variant)}; got ${describe(dim)}.`,
    );
  }
  const half = Math.floor(dim / 2);
  const powers = variant === 'tensor2tensor' ? Math.max(half - 1, 1) : dim / 2;
  return Float64Array.from({ length: half }, (_, i) => base ** (-i / powers));
}

function positionsOf(length: number | ArrayLike<number>, offset: number): Float64Array {
  if (!isList(length) && !(Number.isInteger(length) && length > 0)) {
    throw new OptionError(
      `sinusoidal: length must be a whole number of at least 1, or the positions; got ${describe(length)}.`,
    );
  }
  if (typeof length !== 'number') checkValue('sinusoidal', 'positions', length, listOfNumbers);
  const positions =
    typeof length === 'number' ? Float64Array.from({ length }, (_, row) => row) : Float64Array.from(length);
  if (positions.length === 0 || !positions.every(Number.isFinite)) {
    throw new OptionError('sinusoidal: positions must be one or more finite numbers.');
  }
  return positions.map((position) => offset + position);
}
