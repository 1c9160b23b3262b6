import type { Numbers } from '../support/compare.js';
import { exact, type Round } from '../support/operation.js';

/** Sums of `terms` numbers, rounded after every operation. */
function sum(round: Round, terms: number, term: (i: number) => number): number {
  let total = 0;
  for (let i = 0; i < terms; i++) total = round(total + term(i));
  return total;
}

/** `Σ_j (re_j + i·im_j)·e^{−2πi·jk/n}` down the columns of `[n, columns]`, by its definition. */
export function fourierColumns(
  re: Numbers,
  im: Numbers,
  n: number,
  columns: number,
  round: Round = exact,
): [Float64Array, Float64Array] {
  const out: [Float64Array, Float64Array] = [new Float64Array(n * columns), new Float64Array(n * columns)];
  const angles = Array.from({ length: n }, (_, m) => (-2 * Math.PI * m) / n);
  const [cosines, sines] = [Math.cos, Math.sin].map((f) => angles.map((angle) => round(f(angle)))) as [
    number[],
    number[],
  ];
  for (let k = 0; k < n; k++) {
    const [cos, sin] = [(j: number) => cosines[(j * k) % n]!, (j: number) => sines[(j * k) % n]!];
    for (let c = 0; c < columns; c++) {
      const [x, y] = [(j: number) => re[j * columns + c]!, (j: number) => im[j * columns + c]!];
      out[0][k * columns + c] = sum(round, n, (j) => round(round(x(j) * cos(j)) - round(y(j) * sin(j))));
      out[1][k * columns + c] = sum(round, n, (j) => round(round(x(j) * sin(j)) + round(y(j) * cos(j))));
    }
  }
  return out;
}

const turned = (x: Numbers, rows: number, columns: number): Float64Array =>
  Float64Array.from({ length: rows * columns }, (_, i) => x[(i % rows) * columns + Math.floor(i / rows)]!);

/** `Re(F_n·X·F_D)` of `[batches, n, D]`. */
export function fourierMix(x: Numbers, n: number, D: number, round: Round = exact): Float64Array {
  const out = new Float64Array(x.length);
  for (let start = 0; start < x.length; start += n * D) {
    const matrix = Float64Array.from({ length: n * D }, (_, i) => x[start + i]!);
    const features = fourierColumns(turned(matrix, n, D), new Float64Array(n * D), D, n, round);
    const [re, im] = features.map((part) => turned(part, D, n)) as [Float64Array, Float64Array];
    out.set(fourierColumns(re, im, n, D, round)[0], start);
  }
  return out;
}
