import type { Numbers } from '../../support/compare.js';
import type { Round } from '../../support/operation.js';

/** Where `start` is after steps with these gradients and learning rates, by the formulas of the papers. */
export type Reference = (
  r: Round,
  shape: readonly number[],
  start: Numbers,
  gradients: readonly Numbers[],
  rates: readonly number[],
) => Numbers;

/** A reference that treats every number alike: `step` moves one, and keeps what it likes in `memory`. */
function each(
  step: (r: Round, θ: number, g: number, rate: number, t: number, memory: Record<string, number>) => number,
): Reference {
  return (r, _, start, gradients, rates) =>
    Float64Array.from(start, (first, i) => {
      const memory = {};
      return rates.reduce((θ, rate, at) => step(r, θ, gradients[at]![i]!, rate, at + 1, memory), first);
    });
}

export const adamW = (β1: number, β2: number, ε: number, λ: number): Reference =>
  each((r, θ, g, rate, t, memory) => {
    const m = r(r(β1 * (memory.m ?? 0)) + r((1 - β1) * g));
    const v = r(r(β2 * (memory.v ?? 0)) + r((1 - β2) * r(g * g)));
    Object.assign(memory, { m, v });
    const corrected = [r(m / (1 - β1 ** t)), r(v / (1 - β2 ** t))] as const;
    const direction = r(corrected[0] / r(r(Math.sqrt(corrected[1])) + ε));
    return r(θ - r(rate * r(direction + r(λ * θ))));
  });

export const lion = (β1: number, β2: number, λ: number): Reference =>
  each((r, θ, g, rate, _, memory) => {
    const m = memory.m ?? 0;
    const direction = Math.sign(r(r(β1 * m) + r((1 - β1) * g)));
    memory.m = r(r(β2 * m) + r((1 - β2) * g));
    return r(θ - r(rate * r(direction + r(λ * θ))));
  });

export const sgd = (μ: number, nesterov: boolean, λ: number): Reference =>
  each((r, θ, g, rate, _, memory) => {
    const u = r(r(μ * (memory.u ?? 0)) + g);
    memory.u = u;
    const direction = nesterov ? r(g + r(μ * u)) : u;
    return r(θ - r(rate * r(direction + r(λ * θ))));
  });

const sum = (r: Round, values: readonly number[]): number => values.reduce((total, value) => r(total + value), 0);
const rms = (r: Round, values: readonly number[]): number =>
  r(
    Math.sqrt(
      r(
        sum(
          r,
          values.map((x) => r(x * x)),
        ) / values.length,
      ),
    ),
  );

/** Algorithm 4 of the paper for a matrix, with its sums of rows and columns, and algorithm 5 for a vector. */
export const adafactor =
  (relative: boolean, d: number, λ: number): Reference =>
  (r, shape, start, gradients, rates) => {
    const [ε1, ε2] = [1e-30, 1e-3];
    let θ = Array.from(start);
    const matrix = shape.length >= 2;
    const [n, m] = matrix ? (shape.slice(-2) as [number, number]) : [1, θ.length];
    const batches = θ.length / (n * m);
    const size = matrix ? [batches * n, batches * m] : [0, 0];
    let [R, C] = size.map((length) => new Array<number>(length).fill(0)) as [number[], number[]];
    let V = new Array<number>(θ.length).fill(0);
    rates.forEach((rate, at) => {
      const g = Array.from(gradients[at]!);
      const β = 1 - (at + 1) ** -0.8;
      const blend = (old: number, value: number): number => r(r(β * old) + r((1 - β) * value));
      const squares = g.map((x) => r(r(x * x) + ε1));
      const element = (b: number, i: number, j: number): number => squares[(b * n + i) * m + j]!;
      const range = (length: number): number[] => Array.from({ length }, (_, i) => i);
      R = R.map((old, at) =>
        blend(
          old,
          sum(
            r,
            range(m).map((j) => element(Math.floor(at / n), at % n, j)),
          ),
        ),
      );
      C = C.map((old, at) =>
        blend(
          old,
          sum(
            r,
            range(n).map((i) => element(Math.floor(at / m), i, at % m)),
          ),
        ),
      );
      V = V.map((old, i) => blend(old, squares[i]!));
      const second = (i: number): number => {
        if (!matrix) return V[i]!;
        const b = Math.floor(i / (n * m));
        const total = sum(r, R.slice(b * n, (b + 1) * n));
        return r(r(R[Math.floor(i / m)]! * C[b * m + (i % m)]!) / total);
      };
      const U = g.map((x, i) => r(x / r(Math.sqrt(second(i)))));
      const clipped = U.map((u) => r(u / Math.max(1, r(rms(r, U) / d))));
      const α = relative ? r(Math.max(ε2, rms(r, θ)) * rate) : rate;
      θ = θ.map((x, i) => r(r(x - r(α * clipped[i]!)) - r(r(rate * λ) * x)));
    });
    return θ;
  };
