import type { I32, Pointer, VectorBuilder, VF } from '../codegen/vector.js';

/** `width` vectors as the rows of a square; its columns. log₂ width rounds exchange halves, quarters, … of pairs of rows. */
export function transpose(k: VectorBuilder, rows: readonly VF[]): readonly VF[] {
  const lanes = rows.map((_, i) => i);
  let square = rows;
  for (let half = k.width / 2; half >= 1; half /= 2) {
    const low = lanes.map((i) => ((i & half) === 0 ? i : k.width + i - half));
    const high = lanes.map((i) => ((i & half) === 0 ? i + half : k.width + i));
    square = square.map((_, i) =>
      (i & half) === 0 ? k.shuffle(square[i]!, square[i + half]!, low) : k.shuffle(square[i - half]!, square[i]!, high),
    );
  }
  return square;
}

/** `width` rows of f32, `pitch` bytes apart. */
export interface RowBlock {
  readonly rows: Pointer;
  readonly pitch: number;
  readonly columns: number;
}

const rowsOf = (k: VectorBuilder, pitch: number): readonly number[] =>
  Array.from({ length: k.width }, (_, row) => row * pitch);

/** Visits first columns of squares, then the columns left, where a square does not fit. */
function eachSquare(k: VectorBuilder, columns: number, square: (c: I32) => void, single: (c: I32) => void): void {
  const whole = columns - (columns % k.width);
  if (whole > 0) k.loop(0, whole, square, k.width);
  if (columns > whole) k.loop(whole, columns, single);
}

/** Calls `take(c, i, lanes)` for every column c + i of the rows; lane r comes from row r. */
export function eachColumn(k: VectorBuilder, x: RowBlock, take: (c: I32, i: number, lanes: VF) => void): void {
  eachSquare(
    k,
    x.columns,
    (c) => {
      const from = k.offset(x.rows, c, 4);
      const rows = rowsOf(k, x.pitch).map((at) => k.loadVF(from, at));
      transpose(k, rows).forEach((lanes, i) => take(c, i, lanes));
    },
    (c) => take(c, 0, k.loadStrided(k.offset(x.rows, c, 4), x.pitch)),
  );
}

/** Writes rows from their columns, `give(c, i)` being column c + i; `change(new, old)` sees what stood there, row by row. */
export function writeColumns(
  k: VectorBuilder,
  x: RowBlock,
  give: (c: I32, i: number) => VF,
  change?: (value: VF, old: VF) => VF,
): void {
  eachSquare(
    k,
    x.columns,
    (c) => {
      const to = k.offset(x.rows, c, 4);
      const rows = transpose(
        k,
        Array.from({ length: k.width }, (_, i) => give(c, i)),
      );
      rowsOf(k, x.pitch).forEach((at, r) => k.store(to, change ? change(rows[r]!, k.loadVF(to, at)) : rows[r]!, at));
    },
    (c) => {
      const to = k.offset(x.rows, c, 4);
      const value = give(c, 0);
      k.storeStrided(to, change ? change(value, k.loadStrided(to, x.pitch)) : value, x.pitch);
    },
  );
}
