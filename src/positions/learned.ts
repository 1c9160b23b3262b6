import { describe } from '../core/describe.js';
import { isFloat } from '../core/dtype.js';
import { OptionError, ShapeError } from '../core/errors.js';
import { checkValue, checkValues, wholeBetween, wholeFrom } from '../core/requirements.js';
import { checkShape, show } from '../core/shape.js';
import { gather, gatherNamed } from '../ops/gather.js';
import { slice } from '../ops/shape.js';
import { commonDevice, scope, tensor, Tensor } from '../tensor/index.js';

export interface LearnedOptions {
  /** Row of the table that position 0 reads: 2 in RoBERTa, Longformer and BART, default 0 as in BERT. */
  readonly offset?: number;
}

/**
 * Learned absolute positions: rows `positions + offset` of the table `[P, D]`, to be added to embeddings. `positions` is a
 * length L for 0 … L − 1, or a tensor of i32, such as one that starts anew in every document. Differentiable in the table.
 * (Devlin et al. 2018, arXiv 1810.04805.)
 *
 * @throws OptionError for a position whose row the table does not have.
 *
 * @example
 * const table = tensor([1, 2, 3, 4], [4, 1], { device });
 * learnedPositions(table, 2, { offset: 2 }); // [3, 4]
 */
export function learnedPositions(table: Tensor, positions: number | Tensor, options: LearnedOptions = {}): Tensor {
  const who = 'learnedPositions';
  checkTable(who, table);
  const rows = table.shape[0]!;
  checkValues(who, options, { offset: wholeBetween(0, rows - 1) });
  const { offset = 0 } = options;
  if (positions instanceof Tensor) {
    // without the rows before, position p is row p, and a position before 0 reads none
    return scope(() => gatherNamed(who, offset === 0 ? table : slice(table, { start: offset }), positions, 0, 'table'));
  }
  if (!(Number.isInteger(positions) && positions > 0 && offset + positions <= rows)) {
    throw new OptionError(
      `${who}: the table ${show(table.shape)} holds positions 0 … ${rows - offset - 1} from row ${offset} on; ` +
        `got a length of ${describe(positions)}. Shorten the input, or extend the table with extendPositions.`,
    );
  }
  return slice(table, { start: offset, end: offset + positions });
}

export interface ExtendOptions {
  /** Rows at the start that are no positions and are kept once: 2 in RoBERTa; default 0. */
  readonly reserved?: number;
}

/**
 * A longer table that repeats the learned one: row `reserved + t` is row `reserved + (t mod (P − reserved))` of the table
 * `[P, D]`, which is how Longformer starts from RoBERTa. The result is `[rows, D]`. (Beltagy et al. 2020, arXiv 2004.05150.)
 *
 * Relative to the paper's script: any number of rows, not only whole repetitions, and the reserved rows are copied.
 *
 * @throws OptionError for fewer rows than the table has, or as many reserved ones.
 *
 * @example
 * const table = tensor([8, 9, 1, 2], [4, 1], { device });
 * extendPositions(table, 7, { reserved: 2 }); // [8, 9, 1, 2, 1, 2, 1]
 */
export function extendPositions(table: Tensor, rows: number, options: ExtendOptions = {}): Tensor {
  const who = 'extendPositions';
  checkTable(who, table);
  const before = table.shape[0]!;
  checkValues(who, options, { reserved: wholeBetween(0, before - 1) });
  checkValue(who, 'rows', rows, wholeFrom(before));
  const { reserved = 0 } = options;
  checkShape(who, [rows, table.shape[1]!]);
  const from = Int32Array.from({ length: rows }, (_, row) =>
    row < reserved ? row : reserved + ((row - reserved) % (before - reserved)),
  );
  return scope(() => gather(table, tensor(from, [rows], { device: table.device })));
}

function checkTable(who: string, table: Tensor): void {
  commonDevice(who, [table]);
  if (table.rank !== 2) throw new ShapeError(`${who}: table must be [P,D]; got table=${show(table.shape)}.`);
  if (!isFloat(table.dtype)) throw new OptionError(`${who}: table must be f32, f16 or bf16; got ${table.dtype}.`);
}
