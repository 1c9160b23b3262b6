/** `[rows × columns]`, row-major. Made by a `Graph`; never changed after. */
export class Matrix {
  constructor(
    readonly rows: number,
    readonly columns: number,
    readonly data: Float64Array,
    /** Whether gradients flow to it. */
    readonly tracked: boolean,
  ) {}

  at(i: number, j: number): number {
    return this.data[i * this.columns + j]!;
  }
}

export function filled(rows: number, columns: number, f: (i: number, j: number) => number): Matrix {
  const data = new Float64Array(rows * columns);
  for (let i = 0, at = 0; i < rows; i++) for (let j = 0; j < columns; j++) data[at++] = f(i, j);
  return new Matrix(rows, columns, data, true);
}

export const turned = (a: Matrix): Matrix => filled(a.columns, a.rows, (i, j) => a.at(j, i));

export const reordered = (a: Matrix, sequence: Int32Array): Matrix =>
  filled(a.rows, a.columns, (i, j) => a.at(i, sequence[j]!));
