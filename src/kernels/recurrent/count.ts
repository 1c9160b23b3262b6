import type { RecurrentSpec } from './spec.js';

/** Multiply-adds of a forward pass over `positions` in `steps`, all heads; needed are those of the plain recurrence. */
export function forwardProducts(
  { M, E, chunk: C, delta }: RecurrentSpec,
  positions: number,
  steps: number,
): { readonly executed: number; readonly needed: number } {
  const sides = delta ? 2 : 1;
  const pairs = (C * (C + 1)) / 2;
  const differences = delta ? ((C * (C - 1)) / 2) * E : 0;
  return {
    executed: steps * ((1 + sides) * C * M * E + sides * pairs * M + pairs * E + differences),
    needed: positions * (1 + sides) * M * E,
  };
}

/** Of the backward pass. */
export function backwardProducts({ M, E, chunk: C, decay, delta }: RecurrentSpec, steps: number): number {
  const sides = delta ? 2 : 1;
  const pairs = (C * (C + 1)) / 2;
  // the states of a block again; du, what state and adjoint give to the rows, the adjoint itself
  const states = (2 + 2 * sides) * C * M * E + (decay === 'none' ? 0 : M * E);
  const within = sides * pairs * (M + E) + C * C * E + (delta ? pairs * E : 0) + (1 + sides) * pairs * M;
  return steps * (states + within);
}
