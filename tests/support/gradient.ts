import type { Numbers } from './compare.js';

/** A function of several arrays to one array, in float64. */
export type Reference = (...inputs: Float64Array[]) => Numbers;

export interface DifferenceOptions {
  /** The step; default 1e-5. */
  readonly h?: number;
  /** Elements of each input to take differences for, evenly spread; the others stay NaN. Default all. */
  readonly limit?: number;
}

/**
 * `∂⟨cotangent, f(x)⟩/∂x` of every input by central differences in float64. The step's error is of order h², that of
 * rounding of order 2⁻⁵³/h: about 1e-10 of the values for well-scaled functions, far below any float32 budget.
 */
export function centralDifferences(
  f: Reference,
  inputs: readonly Numbers[],
  cotangent: Numbers,
  { h = 1e-5, limit = Infinity }: DifferenceOptions = {},
): Float64Array[] {
  const copies = inputs.map((input) => Float64Array.from(input));
  const value = (): number => {
    const out = f(...copies);
    let sum = 0;
    for (let i = 0; i < out.length; i++) sum += out[i]! * cotangent[i]!;
    return sum;
  };
  return copies.map((copy) => {
    const stride = Math.max(1, Math.ceil(copy.length / limit));
    return copy.map((x, i) => {
      if (i % stride !== 0) return NaN;
      copy[i] = x + h;
      const above = value();
      copy[i] = x - h;
      const below = value();
      copy[i] = x;
      return (above - below) / (2 * h);
    });
  });
}
