import { polynomial, withSignOf } from './math.js';
import type { VF, VectorBuilder } from './vector.js';

/** Numbers that float32 holds only in two parts. */
const pi = { high: 3.1415927410125732, low: -8.742278012618954e-8 };
const halfPi = { high: pi.high / 2, low: pi.low / 2 };
const quarterPi = { high: pi.high / 4, low: pi.low / 4 };

/** `angle − x` */
const less = (k: VectorBuilder, angle: typeof pi, x: VF): VF =>
  k.sub(k.constant('vf', angle.high), k.sub(x, angle.low));

/** Coefficients of (asin s − s) / s³ in s² on [−½, ½], lowest first (Cephes asinf). */
const asinCoefficients = [1.6666752422e-1, 7.4953002686e-2, 4.547002599e-2, 2.4181311049e-2, 4.2163199048e-2];

/**
 * Arc cosine in radians, from 0 to π, within 2 ulp; NaN outside [−1, 1]. Up to ½ it is π/2 − asin x, beyond it by twice the arc
 * sine of √((1 − |x|)/2), in which nothing cancels.
 */
export function acos(k: VectorBuilder, x: VF): VF {
  const size = k.abs(x);
  const outer = k.gt(size, 0.5);
  const squared = k.select(outer, k.mul(k.sub(k.constant('vf', 1), size), 0.5), k.mul(x, x));
  const s = k.select(outer, k.sqrt(squared), x);
  const asin = k.fma(k.mul(polynomial(k, squared, asinCoefficients), squared), s, s);
  const twice = k.add(asin, asin);
  return k.select(outer, k.select(k.lt(x, 0), less(k, pi, twice), twice), less(k, halfPi, asin));
}

/** Coefficients of (atan t − t) / t³ in t² for |t| ≤ tan(π/8), lowest first (Cephes atanf). */
const atanCoefficients = [-3.33329491539e-1, 1.99777106478e-1, -1.38776856032e-1, 8.05374449538e-2];

/**
 * Angle of the point (x, y) in radians, from −π to π, within 2 ulp; the signs of zeros count as in IEEE 754, an infinity is
 * beyond every finite number, and a NaN on either side stays.
 */
export function atan2(k: VectorBuilder, y: VF, x: VF): VF {
  const [across, along] = [k.abs(y), k.abs(x)];
  const steep = k.gt(across, along);
  const most = k.select(steep, across, along);
  const least = k.select(steep, along, across);
  // 0/0 and ∞/∞ are 0/1 and 1/1; sums of large numbers must not overflow, and products of small ones keep their digits
  const endless = k.eq(most, Infinity);
  const factor = k.select(
    k.gt(most, 2 ** 125),
    k.constant('vf', 0.25),
    k.select(k.lt(most, 2 ** -100), k.constant('vf', 2 ** 24), 1),
  );
  const a = k.select(endless, k.select(k.eq(least, Infinity), k.constant('vf', 1), 0), k.mul(least, factor));
  const b = k.select(k.or(endless, k.eq(most, 0)), k.constant('vf', 1), k.mul(most, factor));
  // beyond π/8 from the diagonal
  const far = k.gt(a, k.mul(b, Math.SQRT2 - 1));
  const t = k.div(k.select(far, k.sub(a, b), a), k.select(far, k.add(a, b), b));
  const square = k.mul(t, t);
  const small = k.fma(k.mul(polynomial(k, square, atanCoefficients), square), t, t);
  const below = k.select(far, k.add(k.add(small, quarterPi.low), quarterPi.high), small);
  const right = k.select(steep, less(k, halfPi, below), below);
  const angle = withSignOf(k, k.select(k.lt(k.bits(x), 0), less(k, pi, right), right), y);
  return k.select(k.and(k.eq(x, x), k.eq(y, y)), angle, k.add(x, y));
}
