import type { Numbers } from '../support/compare.js';
import { exact, type Round } from '../support/operation.js';

type Visit = (out: number, weight: number, x: number) => void;

/** Visits every product of `out[b,h,i] = Σ_t w[h,t]·x[b,h,i + t − (κ−1)/2]` on `[B,H,n,D]`. */
function each([B, H, n, D]: readonly number[], taps: number, visit: Visit): void {
  for (let m = 0; m < B! * H!; m++)
    for (let i = 0; i < n!; i++)
      for (let c = 0; c < D!; c++)
        for (let t = 0; t < taps; t++) {
          const row = i + t - (taps - 1) / 2;
          if (row < 0 || row >= n!) continue;
          visit((m * n! + i) * D! + c, (m % H!) * taps + t, (m * n! + row) * D! + c);
        }
}

export function convolve(shape: readonly number[], x: Numbers, w: Numbers, round: Round = exact): Float64Array {
  const out = new Float64Array(x.length);
  const taps = w.length / shape[1]!;
  each(shape, taps, (o, t, i) => (out[o] = round(out[o]! + round(w[t]! * x[i]!))));
  return out;
}

/** The gradients of x and w. */
export function convolveGradients(
  shape: readonly number[],
  d: Numbers,
  x: Numbers,
  w: Numbers,
  round: Round = exact,
): [Float64Array, Float64Array] {
  const [dx, dw] = [new Float64Array(x.length), new Float64Array(w.length)];
  each(shape, w.length / shape[1]!, (o, t, i) => {
    dx[i] = round(dx[i]! + round(w[t]! * d[o]!));
    dw[t] = round(dw[t]! + round(x[i]! * d[o]!));
  });
  return [dx, dw];
}
