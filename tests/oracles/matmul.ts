import type { Numbers } from '../support/compare.js';

/** A matrix stack `[...batch, rows, columns]` as stored, and whether its transpose is meant. */
export interface Stack {
  readonly data: Numbers;
  readonly shape: readonly number[];
  readonly transposed?: boolean;
}

/** `a·b + bias` over the last two axes with broadcast batch axes; `round` is applied after every operation. */
export function matmul(a: Stack, b: Stack, bias?: Numbers, round: (x: number) => number = (x) => x): Float64Array {
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
      const position = rest % batch[i]!;
      rest = Math.floor(rest / batch[i]!);
      if (axis(s, i) > 1) at += position * step;
      step *= axis(s, i);
    }
    return at;
  };
  const out = new Float64Array(batches * M * N);
  for (let index = 0; index < batches; index++) {
    const [aBase, bBase] = [matrix(a, index) * M * K, matrix(b, index) * K * N];
    const [ai, ak] = a.transposed ? [1, M] : [K, 1];
    const [bk, bj] = b.transposed ? [1, K] : [N, 1];
    for (let i = 0; i < M; i++) {
      for (let j = 0; j < N; j++) {
        let sum = bias ? bias[j]! : 0;
        for (let k = 0; k < K; k++) {
          sum = round(sum + round(a.data[aBase + i * ai + k * ak]! * b.data[bBase + k * bk + j * bj]!));
        }
        out[(index * M + i) * N + j] = sum;
      }
    }
  }
  return out;
}
