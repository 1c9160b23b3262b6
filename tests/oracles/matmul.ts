import type { Numbers } from '../support/compare.js';

/** A matrix stack `[...batch, rows, columns]` as stored, and whether its transpose is meant. */
export interface Stack {
  readonly data: Numbers;
  readonly shape: readonly number[];
  readonly transposed?: boolean;
}

type Round = (x: number) => number;
const exact: Round = (x) => x;

/** One element of a product: its place in the result, its column, and the places of the K pairs it sums. */
interface Element {
  readonly at: number;
  readonly column: number;
  readonly a: (k: number) => number;
  readonly b: (k: number) => number;
}

/** Visits every element of `a·b`; returns how many there are and K. */
function eachElement(a: Stack, b: Stack, visit: (element: Element, K: number) => void): number {
  // a transposed matrix is stored with its rows last
  const extent = (s: Stack, fromEnd: 1 | 2): number => s.shape.at(s.transposed ? fromEnd - 3 : -fromEnd)!;
  const [M, K, N] = [extent(a, 2), extent(a, 1), extent(b, 1)];
  const rank = Math.max(a.shape.length, b.shape.length) - 2;
  const axis = (s: Stack, i: number): number => s.shape[s.shape.length - 2 - rank + i] ?? 1;
  const batch = Array.from({ length: rank }, (_, i) => Math.max(axis(a, i), axis(b, i)));
  const batches = batch.reduce((x, y) => x * y, 1);
  const matrix = (s: Stack, index: number): number => {
    let [rest, at, step] = [index, 0, 1];
    for (let i = rank - 1; i >= 0; i--) {
      if (axis(s, i) > 1) at += (rest % batch[i]!) * step;
      rest = Math.floor(rest / batch[i]!);
      step *= axis(s, i);
    }
    return at;
  };
  const [aRow, aStep] = a.transposed ? [1, M] : [K, 1];
  const [bStep, bColumn] = b.transposed ? [1, K] : [N, 1];
  for (let index = 0; index < batches; index++) {
    const [aBase, bBase] = [matrix(a, index) * M * K, matrix(b, index) * K * N];
    for (let i = 0; i < M; i++) {
      for (let j = 0; j < N; j++) {
        const [aAt, bAt] = [aBase + i * aRow, bBase + j * bColumn];
        visit({ at: (index * M + i) * N + j, column: j, a: (k) => aAt + k * aStep, b: (k) => bAt + k * bStep }, K);
      }
    }
  }
  return batches * M * N;
}

/** `a·b + bias` over the last two axes with broadcast batch axes; `round` is applied after every operation. */
export function matmul(a: Stack, b: Stack, bias?: Numbers, round: Round = exact): Float64Array {
  const out = new Float64Array(eachElement(a, b, () => {}));
  eachElement(a, b, (element, K) => {
    let sum = bias ? bias[element.column]! : 0;
    for (let k = 0; k < K; k++) sum = round(sum + round(a.data[element.a(k)]! * b.data[element.b(k)]!));
    out[element.at] = sum;
  });
  return out;
}

/** The gradients of a, b and bias from that of `a·b + bias`. */
export function matmulGradients(
  a: Stack,
  b: Stack,
  d: Numbers,
  round: Round = exact,
): [Float64Array, Float64Array, Float64Array] {
  const [da, db] = [new Float64Array(a.data.length), new Float64Array(b.data.length)];
  const dbias: number[] = [];
  eachElement(a, b, (element, K) => {
    const here = d[element.at]!;
    dbias[element.column] = round((dbias[element.column] ?? 0) + here);
    for (let k = 0; k < K; k++) {
      const [i, j] = [element.a(k), element.b(k)];
      da[i] = round(da[i]! + round(here * b.data[j]!));
      db[j] = round(db[j]! + round(here * a.data[i]!));
    }
  });
  return [da, db, Float64Array.from(dbias)];
}
