import { OptionError, ShapeError } from '../core/errors.js';
import { anything, checkValues, listOfNumbers, wholeFrom } from '../core/requirements.js';
import { show } from '../core/shape.js';
import { commonDevice, tensor, type Tensor } from '../tensor/index.js';
import { angleTable, countFrom } from './angles.js';
import { rotated, someLayout, type PairLayout } from './rotate.js';
import type { RopeScaling } from './scaling.js';

export interface RopeOptions {
  /** Position of the first row; default 0. */
  readonly offset?: number;
  /** The position of every row instead: L whole numbers of at least 0, or B·L for each entry of the first axis of x. */
  readonly positions?: ArrayLike<number>;
  /** `'half'` (default) as in GPT-NeoX and Llama on Hugging Face; `'interleaved'` as in GPT-J and the paper. */
  readonly layout?: PairLayout;
  /** Default 10000. */
  readonly base?: number;
  /** R: only the first R components turn; even, default D. */
  readonly rotaryDim?: number;
  readonly scaling?: RopeScaling;
}

const requirements = {
  offset: wholeFrom(0),
  positions: listOfNumbers,
  layout: someLayout,
  base: anything,
  rotaryDim: wholeFrom(2),
  scaling: anything,
};

/**
 * Rotary position embedding: pair i of the row at position p turns by `p · base^(−2i/R)`, for `x` `[..., L, D]`. Apply it to
 * queries and keys, not to values: their products then depend on differences of positions. Differentiable in x.
 * (Su et al. 2021, arXiv 2104.09864; scaling: see `RopeScaling`.)
 *
 * For queries behind a cache of M keys, pass `offset: M`. The angles are made on the host for every call, which takes about as
 * long as the pass over 12 heads; where many layers share them, make them once with `ropeAngles` and call `rotatePairs`.
 *
 * @throws ShapeError for positions that do not fit x; OptionError for those that are no whole numbers of at least 0, an
 * odd R, and the like.
 *
 * @example
 * const word = tensor([3, 4], [1, 2], { device });
 * rope(word, { offset: 0 }); // [3, 4]
 */
export function rope(x: Tensor, options: RopeOptions = {}): Tensor {
  const who = 'rope';
  commonDevice(who, [x]);
  checkValues(who, options, requirements);
  const { layout = 'half', offset, positions, rotaryDim = x.shape.at(-1) ?? 0 } = options;
  if (x.rank < 2) throw new ShapeError(`${who}: x must be [...,L,D]; got x=${show(x.shape)}.`);
  if (rotaryDim > x.shape.at(-1)!) {
    throw new OptionError(`${who}: rotaryDim must be at most D; got rotaryDim=${rotaryDim} for x=${show(x.shape)}.`);
  }
  if (positions !== undefined && offset !== undefined) {
    throw new OptionError(`${who}: takes offset or positions, not both; add the offset to the positions.`);
  }
  const rows = x.shape.at(-2)!;
  const perEntry = x.rank >= 3 && positions?.length === x.shape[0]! * rows;
  if (positions !== undefined && positions.length !== rows && !perEntry) {
    throw new ShapeError(
      `${who}: positions must hold L numbers, or B·L for the B entries of the first axis; got ${positions.length} for ` +
        `x=${show(x.shape)}.`,
    );
  }
  const { table, length } = angleTable(who, positions ?? countFrom(offset ?? 0, rows), { ...options, rotaryDim });
  const shape = length === rows ? [rows, rotaryDim] : [length / rows, rows, rotaryDim];
  const angles = tensor(table, shape, { device: x.device, category: 'workspace' });
  try {
    return rotated(who, x, angles, layout);
  } finally {
    angles.dispose();
  }
}
