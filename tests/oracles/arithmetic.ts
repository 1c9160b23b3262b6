/** The numbers an oracle is computed in. The inner loops are written out for each, as they take nearly all the time. */
export interface Arithmetic {
  /** What one operation gives. */
  readonly round: (x: number) => number;
  /** `start + Σ_c a[at + c] · b[bt + c]`, where `start` is 0 unless given. */
  readonly dot: (a: Float64Array, at: number, b: Float64Array, bt: number, n: number, start?: number) => number;
  /** The same of code that rounds a product and a sum at once, as compilers write it where the machine has that. */
  readonly fusedDot?: Arithmetic['dot'];
  /** `to[t + c] += factor · from[f + c]`. */
  readonly axpy: (factor: number, from: Float64Array, f: number, to: Float64Array, t: number, n: number) => void;
}

/** What results are compared with. */
export const double: Arithmetic = {
  round: (x) => x,
  dot: (a, at, b, bt, n, start = 0) => {
    let sum = start;
    for (let c = 0; c < n; c++) sum += a[at + c]! * b[bt + c]!;
    return sum;
  },
  axpy: (factor, from, f, to, t, n) => {
    for (let c = 0; c < n; c++) to[t + c]! += factor * from[f + c]!;
  },
};

/** Plain float32 code, each operation rounded: its error is what a float32 result is allowed to have, twice. */
export const single: Arithmetic = {
  round: Math.fround,
  dot: (a, at, b, bt, n, start = 0) => {
    let sum = start;
    for (let c = 0; c < n; c++) sum = Math.fround(sum + Math.fround(a[at + c]! * b[bt + c]!));
    return sum;
  },
  fusedDot: (a, at, b, bt, n, start = 0) => {
    let sum = start;
    // a product of two float32 numbers is exact in float64
    for (let c = 0; c < n; c++) sum = Math.fround(sum + a[at + c]! * b[bt + c]!);
    return sum;
  },
  axpy: (factor, from, f, to, t, n) => {
    for (let c = 0; c < n; c++) to[t + c] = Math.fround(to[t + c]! + Math.fround(factor * from[f + c]!));
  },
};
