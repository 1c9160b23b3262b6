import type { VF, VI, VectorBuilder } from './vector.js';

const log2e = 1.4426950408889634;
const magic = 12582912; // 1.5·2²³: adding it rounds a small float to an integer in the low mantissa bits

/** Σ c_i·x^i by Horner's rule. */
export function polynomial(k: VectorBuilder, x: VF, coefficients: readonly number[]): VF {
  let sum = k.constant('vf', coefficients.at(-1)!);
  for (let i = coefficients.length - 2; i >= 0; i--) sum = k.fma(sum, x, coefficients[i]!);
  return sum;
}

/** Coefficients of (log(1 + x) − x + x²/2) / x³ on [√½ − 1, √2 − 1], lowest first (Cephes logf). */
const logCoefficients = [
  3.3333331174e-1, -2.4999993993e-1, 2.0000714765e-1, -1.6668057665e-1, 1.4249322787e-1, -1.2420140846e-1,
  1.167699874e-1, -1.151461031e-1, 7.0376836292e-2,
];

/** `x = mantissa · 2^exponent` with a mantissa in [√½, √2), for finite x > 0; subnormals included. */
export function splitExponent(k: VectorBuilder, x: VF): { readonly mantissa: VF; readonly exponent: VF } {
  const tiny = k.lt(x, 1.17549435e-38);
  const scaled = k.select(tiny, k.mul(x, 8388608), x);
  const shifted = k.sub(k.bits(scaled), 0x3f3504f3);
  const exponent = k.toFloat(k.sub(k.shrSigned(shifted, 23), k.and(tiny, 23)));
  return { mantissa: k.fromBits(k.add(k.and(shifted, 0x007fffff), 0x3f3504f3)), exponent };
}

/** Natural logarithm: −∞ at 0, NaN below, +∞ at +∞; subnormals included. */
export function log(k: VectorBuilder, x: VF): VF {
  const { mantissa, exponent } = splitExponent(k, x);
  const f = k.sub(mantissa, 1);
  const square = k.mul(f, f);
  let sum = k.mul(k.mul(polynomial(k, f, logCoefficients), f), square);
  sum = k.fma(exponent, -2.1219444e-4, sum);
  sum = k.fma(square, -0.5, sum);
  const result = k.fma(exponent, 0.693359375, k.add(f, sum));
  const special = k.select(
    k.lt(x, 0),
    k.constant('vf', NaN),
    k.select(k.eq(x, 0), k.constant('vf', -Infinity), result),
  );
  // NaN and +∞ stay what they are
  return k.select(k.lt(x, Infinity), special, k.add(x, 0));
}

/** `x = n·ln 2 + r` with |r| ≤ ln 2 / 2; the low bits of `shifted` are those of n. */
function reduced(k: VectorBuilder, x: VF): { readonly shifted: VF; readonly r: VF } {
  const shifted = k.fma(x, log2e, magic);
  const n = k.sub(shifted, magic);
  // ln 2 in two parts: n times the first is exact
  return { shifted, r: k.fma(n, 2.1219444e-4, k.fma(n, -0.693359375, x)) };
}

/** Coefficients of (e^x − 1 − x) / x² on [−ln 2/2, ln 2/2], lowest first (Cephes expf). */
const expCoefficients = [
  5.0000001201e-1, 1.6666665459e-1, 4.1665795894e-2, 8.3334519073e-3, 1.3981999507e-3, 1.98756915e-4,
];

/** e^r for |r| ≤ ln 2 / 2. */
export const expOfReduced = (k: VectorBuilder, r: VF): VF =>
  k.add(k.fma(k.mul(r, r), polynomial(k, r, expCoefficients), r), 1);

/** `x · 2^n` for n from −252 to 254, rounded once: in two factors, because neither a subnormal power nor 2^128 is one. */
export function timesPowerOfTwo(k: VectorBuilder, x: VF, n: VI): VF {
  const half = k.shrSigned(n, 1);
  const power = (e: VI): VF => k.fromBits(k.shl(k.add(e, 127), 23));
  return k.mul(k.mul(x, power(half)), power(k.sub(n, half)));
}

/** e^x within 2 ulp for every x: subnormal results included, +∞ above 88.73, 0 below −103.97. NaN stays NaN. */
export function exp(k: VectorBuilder, x: VF): VF {
  const clamped = k.min(k.max(x, -104), 89);
  const { shifted, r } = reduced(k, clamped);
  return timesPowerOfTwo(k, expOfReduced(k, r), k.sub(k.bits(shifted), 0x4b400000));
}

/**
 * Coefficients of e^r on [−ln 2/2, ln 2/2], lowest first: minimax with the first one fixed; largest relative error 3e-9. With
 * one less it is 9.4e-8, which is the same for equal r: it shows in sums over many weights, as in the gradients of small tables.
 */
const weightCoefficients = [1, 1, 0.499999938, 0.166665137, 0.0416682987, 0.00836911283, 0.00138194033];

/** e^x for x ≤ 0, in fewer steps than `exp`: relative error below 1.5e-7, and exactly 0 below −87.33. NaN stays NaN. */
export function expOfNegative(k: VectorBuilder, x: VF): VF {
  const { shifted, r } = reduced(k, x);
  const mantissa = polynomial(k, r, weightCoefficients);
  const power = k.fromBits(k.add(k.bits(mantissa), k.shl(k.bits(shifted), 23)));
  return k.select(k.lt(x, -87.33), k.constant('vf', 0), power);
}

/** `magnitude`, which is not negative, with the sign bit of `sign`. */
export const withSignOf = (k: VectorBuilder, magnitude: VF, sign: VF): VF =>
  k.fromBits(k.or(k.bits(magnitude), k.and(k.bits(sign), k.constant('vi', -0x80000000))));

/** Coefficients of (tanh x − x) / x³ in x² on [−0.625, 0.625], lowest first (Cephes tanhf). */
const tanhCoefficients = [-3.33332819422e-1, 1.33314422036e-1, -5.37397155531e-2, 2.06390887954e-2, -5.70498872745e-3];

/** Hyperbolic tangent within 2 ulp; NaN stays NaN. */
export function tanh(k: VectorBuilder, x: VF): VF {
  const size = k.abs(x);
  const square = k.mul(x, x);
  const small = k.fma(k.mul(polynomial(k, square, tanhCoefficients), square), x, x);
  const e = exp(k, k.add(size, size));
  const large = k.sub(k.constant('vf', 1), k.div(k.constant('vf', 2), k.add(e, 1)));
  return withSignOf(k, k.select(k.lt(size, 0.625), small, large), x);
}

/** (erf x − x) / x in x² for |x| ≤ 0.93, lowest first. */
const erfCoefficients = [1.28379166e-1, -3.76125336e-1, 1.12819925e-1, -2.67681349e-2, 4.99119423e-3, -5.96761703e-4];
/** (ln(1 − erf t) + t) / t for t > 0.93, lowest first. */
const erfTailCoefficients = [
  -1.28717512e-1, -6.34846687e-1, -1.06777877e-1, 2.42546219e-2, -3.88396438e-3, 3.83197126e-4, -1.7285347e-5,
];

/** Gauss error function within 2 ulp (two minimax polynomials by N. Juffa); NaN stays NaN. */
export function erf(k: VectorBuilder, x: VF): VF {
  const size = k.abs(x);
  const small = k.fma(polynomial(k, k.mul(x, x), erfCoefficients), x, x);
  // from 10 on the result is 1, and powers would overflow
  const t = k.min(size, 10);
  const large = k.sub(k.constant('vf', 1), exp(k, k.fma(polynomial(k, t, erfTailCoefficients), t, k.neg(t))));
  return k.select(k.le(size, 0.927734375), small, withSignOf(k, large, x));
}

/** Coefficients of (sin x − x) / x³ and (cos x − 1 + x²/2) / x⁴ in x² on [−π/4, π/4], lowest first (Cephes sinf). */
const sinCoefficients = [-1.6666654611e-1, 8.3321608736e-3, -1.9515295891e-4];
const cosCoefficients = [4.166664568298827e-2, -1.388731625493765e-3, 2.443315711809948e-5];

/** π/2 in parts of 13 bits, so that a number of 11 bits times a part is exact; the last part has 24 bits. */
const halfPiParts = splitHalfPi();

function splitHalfPi(): readonly number[] {
  // π/2 to 102 bits: float64 and what it leaves
  const low = 6.123233995736766e-17;
  let rest = Math.PI / 2;
  const parts: number[] = [];
  for (let i = 0; i < 3; i++) {
    const unit = 2 ** (Math.floor(Math.log2(rest)) - 12);
    const part = Math.floor(rest / unit) * unit;
    parts.push(part);
    rest -= part;
    if (i === 2) rest += low;
  }
  return [...parts, Math.fround(rest)];
}

/** sin(x + quarters·π/2) within 3 ulp for |x| < 6.5 million; NaN beyond, where neighbouring x are half a radian apart. */
function sine(k: VectorBuilder, x: VF, quarters: number): VF {
  const shifted = k.fma(x, 0.6366197723675814, magic);
  const count = k.sub(shifted, magic);
  // the count in two parts of 11 bits
  const coarse = k.mul(k.nearest(k.mul(count, 2 ** -11)), 2 ** 11);
  const fine = k.sub(count, coarse);
  let r = x;
  for (const part of halfPiParts) r = k.fma(fine, -part, k.fma(coarse, -part, r));
  // a large x times 2/π was off by up to a quarter
  const missed = k.nearest(k.mul(r, 0.6366197723675814));
  for (const part of halfPiParts) r = k.fma(missed, -part, r);
  const square = k.mul(r, r);
  const sin = k.fma(k.mul(polynomial(k, square, sinCoefficients), square), r, r);
  const quartic = k.mul(polynomial(k, square, cosCoefficients), k.mul(square, square));
  const cos = k.add(k.fma(square, -0.5, quartic), 1);
  const quadrant = k.add(k.add(k.bits(shifted), k.toInt(missed)), quarters);
  const value = k.select(k.ne(k.and(quadrant, 1), 0), cos, sin);
  const signed = k.fromBits(k.xor(k.bits(value), k.shl(k.and(quadrant, 2), 30)));
  return k.select(k.lt(k.abs(x), 6.5e6), signed, NaN);
}

/** Sine; −0 stays −0. */
export const sin = (k: VectorBuilder, x: VF): VF => k.select(k.eq(x, 0), x, sine(k, x, 0));

export const cos = (k: VectorBuilder, x: VF): VF => sine(k, x, 1);
