import type { F32 } from '../../codegen/expression/index.js';
import { add, matmul } from '../../ops/index.js';
import type { Tensor } from '../../tensor/index.js';
import { constantOf, learned, normalOf, type Initialiser, type ParameterSpecs } from '../parameters.js';

/** `x·w + b` of each row of `rows` numbers, `columns` of them, by key head: the parameters `nameWeight` and `nameBias`. */
export const gateParameters = (
  name: string,
  [G, rows, columns]: readonly [G: number, rows: number, columns: number],
  bias: Initialiser = constantOf(0),
): ParameterSpecs => ({
  [`${name}Weight`]: learned([G, rows, columns], normalOf(rows ** -0.5)),
  [`${name}Bias`]: learned([G, 1, columns], bias),
});

/** `[B, G, S, rows]` → `[B, G, S, columns]` */
export const gateLogits = (x: Tensor, name: string, parameters: Readonly<Record<string, Tensor>>): Tensor =>
  add(matmul(x, parameters[`${name}Weight`]!), parameters[`${name}Bias`]!);

/**
 * ln(1 + x) for 0 ≤ x ≤ 1, as 2 artanh(x/(2 + x)) by its series to 5e-9: relatively accurate where x is small, where 1 + x has lost it. A
 * decay is a multiple of it, up to 16 times as large and more.
 */
function log1p(x: F32): F32 {
  const s = x.div(x.add(2));
  const square = s.mul(s);
  const coefficients = [13, 11, 9, 7, 5, 3, 1].map((n) => 1 / n);
  return coefficients.reduce((sum, c) => sum.mul(square).add(c), square.mul(1 / 17).add(1 / 15)).mul(s.add(s));
}

/** ln σ(x) */
export const logSigmoid = (x: F32): F32 => x.min(0).sub(log1p(x.abs().neg().exp()));

/** ln(1 + eˣ) */
export const softplus = (x: F32): F32 => logSigmoid(x.neg()).neg();
