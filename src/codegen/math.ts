import type { VF, VectorBuilder } from './vector.js';

const log2e = 1.4426950408889634;
const magic = 12582912; // 1.5·2²³: adding it rounds a small float to an integer in the low mantissa bits

/** Coefficients of 2^f on [−½, ½], lowest first; largest relative error 7e-8. */
const exp2Coefficients = [1, 0.693147182, 0.240226462, 0.0555032506, 0.00961834099, 0.00133988331];

/** Σ c_i·x^i by Horner's rule. */
export function polynomial(k: VectorBuilder, x: VF, coefficients: readonly number[]): VF {
  let sum = k.constant('vf', coefficients.at(-1)!);
  for (let i = coefficients.length - 2; i >= 0; i--) sum = k.fma(sum, x, coefficients[i]!);
  return sum;
}

/**
 * 2^x for x ≤ 127, relative error below 2e-7; exactly 0 for x ≤ −127. NaN stays NaN.
 */
export function exp2(k: VectorBuilder, x: VF): VF {
  const clamped = k.max(x, -127);
  const shifted = k.add(clamped, magic);
  const fraction = k.sub(clamped, k.sub(shifted, magic));
  const mantissa = polynomial(k, fraction, exp2Coefficients);
  return k.fromBits(k.add(k.bits(mantissa), k.shl(k.bits(shifted), 23)));
}

export { log2e };
