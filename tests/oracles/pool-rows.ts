import type { Numbers } from '../support/compare.js';
import { exact, type Round } from '../support/operation.js';

/** `x [B,H,n,C]`, weights `[B|1,H|1,slots,κ]`. */
export interface PoolCase {
  readonly x: readonly number[];
  readonly weights: readonly number[];
  readonly stride: number;
}

type Visit = (out: number, weight: number, x: number) => void;

/** Visits every product of `out[b,h,p] = Σ_t w[b,h,p,t]·x[b,h,p·stride + t]`. */
function each({ x: [B, H, n, C], weights: [WB, WH, slots, taps], stride }: PoolCase, visit: Visit): void {
  for (let b = 0; b < B!; b++)
    for (let h = 0; h < H!; h++)
      for (let p = 0; p < slots!; p++)
        for (let t = 0; t < taps!; t++) {
          const row = p * stride + t;
          if (row >= n!) continue;
          const m = b * H! + h;
          const weight = (((b % WB!) * WH! + (h % WH!)) * slots! + p) * taps! + t;
          for (let c = 0; c < C!; c++) visit((m * slots! + p) * C! + c, weight, (m * n! + row) * C! + c);
        }
}

export function poolRows(of: PoolCase, x: Numbers, w: Numbers, round: Round = exact): Float64Array {
  const [B, H, , C] = of.x;
  const out = new Float64Array(B! * H! * of.weights[2]! * C!);
  each(of, (o, t, i) => (out[o] = round(out[o]! + round(w[t]! * x[i]!))));
  return out;
}

/** The gradients of x and of the weights. */
export function poolRowsGradients(
  of: PoolCase,
  d: Numbers,
  x: Numbers,
  w: Numbers,
  round: Round = exact,
): [Float64Array, Float64Array] {
  const [dx, dw] = [new Float64Array(x.length), new Float64Array(w.length)];
  each(of, (o, t, i) => {
    dx[i] = round(dx[i]! + round(w[t]! * d[o]!));
    dw[t] = round(dw[t]! + round(x[i]! * d[o]!));
  });
  return [dx, dw];
}
