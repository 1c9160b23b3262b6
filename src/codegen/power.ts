import { expOfReduced, polynomial, splitExponent, timesPowerOfTwo, withSignOf } from './math.js';
import type { VF, VI, VectorBuilder } from './vector.js';

/** (3/2)·(ln m / s − 2 − (2/3)·s²) / s⁴ in s² for s = (m − 1)/(m + 1): the series of the logarithm, lowest first. */
const logCoefficients = [3 / 5, 3 / 7, 3 / 9, 3 / 11, 3 / 13];
/** 2/(3·ln 2), the first part of 10 bits. */
const scale = { high: 0.9619140625, low: -1.1736857402e-4, whole: 0.96179670095 };

/** A number as a sum: products of first parts, which have 12 bits, are exact. */
interface Split {
  readonly high: VF;
  readonly low: VF;
}

/** The first 12 bits. */
const head = (k: VectorBuilder, x: VF): VF => k.fromBits(k.and(k.bits(x), -0x1000));

/** log₂ of a finite x > 0, with an error of 2^−33 or so of itself (fdlibm, e_powf.c, without its second centre). */
function log2(k: VectorBuilder, x: VF): Split {
  const { mantissa, exponent } = splitExponent(k, x);
  const one = k.constant('vf', 1);
  // s = (m − 1)/(m + 1) in two parts
  const above = k.sub(mantissa, 1);
  const reciprocal = k.div(one, k.add(mantissa, 1));
  const s = k.mul(above, reciprocal);
  const sHigh = head(k, s);
  const below = head(k, k.add(mantissa, 1));
  const belowLow = k.sub(mantissa, k.sub(below, 1));
  const sLow = k.mul(reciprocal, k.sub(k.sub(above, k.mul(sHigh, below)), k.mul(sHigh, belowLow)));
  // 3 + s² + r, so that ln m = (2/3)·s times that
  const square = k.mul(s, s);
  const tail = k.mul(k.mul(square, square), polynomial(k, square, logCoefficients));
  const r = k.add(tail, k.mul(sLow, k.add(sHigh, s)));
  const squareHigh = k.mul(sHigh, sHigh);
  const sum = head(k, k.add(k.add(squareHigh, 3), r));
  const sumLow = k.sub(r, k.sub(k.sub(sum, 3), squareHigh));
  // their product, times 2/(3·ln 2)
  const [first, rest] = [k.mul(sHigh, sum), k.add(k.mul(sLow, sum), k.mul(sumLow, s))];
  const high = head(k, k.add(first, rest));
  const low = k.sub(rest, k.sub(high, first));
  const scaled = k.mul(high, scale.high);
  const scaledLow = k.add(k.mul(high, scale.low), k.mul(low, scale.whole));
  const total = head(k, k.add(k.add(scaled, scaledLow), exponent));
  return { high: total, low: k.sub(scaledLow, k.sub(k.sub(total, exponent), scaled)) };
}

/** 2^x for x in two parts, the sum of which is clamped to where a result is neither 0 nor ∞. */
function exp2(k: VectorBuilder, { high, low }: Split): VF {
  const sum = k.add(high, low);
  const inside = k.and(k.gt(sum, -151), k.lt(sum, 129));
  const limit = k.min(k.max(sum, -151), 129);
  const n = k.nearest(limit);
  const rest = k.select(inside, k.add(k.sub(high, n), low), 0);
  return timesPowerOfTwo(k, expOfReduced(k, k.mul(rest, Math.LN2)), k.toInt(n));
}

/** Is the number whole, and odd? What has no fraction bits is even. */
function parity(k: VectorBuilder, y: VF): { readonly whole: VI; readonly odd: VI } {
  const half = k.mul(y, 0.5);
  const whole = k.eq(k.floor(y), y);
  return { whole, odd: k.and(whole, k.ne(k.floor(half), half)) };
}

/**
 * x^y within 2 ulp, with the special values of ECMAScript's `**`: x^0 is 1 even for NaN, a negative x has only powers that are whole
 * numbers, and (±1)^±∞ is NaN.
 */
export function pow(k: VectorBuilder, x: VF, y: VF): VF {
  const size = k.abs(x);
  const { whole, odd } = parity(k, y);
  // beyond 2³² every power is 0, 1 or ∞
  const exponent = k.min(k.max(y, -(2 ** 32)), 2 ** 32);
  const [log, first] = [log2(k, size), head(k, exponent)];
  const power = exp2(k, {
    high: k.mul(first, log.high),
    low: k.add(k.mul(k.sub(exponent, first), log.high), k.mul(exponent, log.low)),
  });
  // of 0 and ∞ there is no logarithm
  const zero = k.eq(size, 0);
  const end = k.or(zero, k.eq(size, Infinity));
  const vanishes = k.xor(zero, k.lt(y, 0));
  const magnitude = k.select(end, k.select(vanishes, k.constant('vf', 0), Infinity), power);
  const signed = k.select(odd, withSignOf(k, magnitude, x), magnitude);
  const noRoot = k.and(k.lt(x, 0), k.xor(k.or(end, whole), -1));
  const noLimit = k.and(k.eq(size, 1), k.eq(k.abs(y), Infinity));
  const undefinedHere = k.or(k.or(k.ne(x, x), k.ne(y, y)), k.or(noRoot, noLimit));
  const value = k.select(undefinedHere, k.constant('vf', NaN), signed);
  return k.select(k.eq(y, 0), k.constant('vf', 1), value);
}
