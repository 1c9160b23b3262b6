/**
 * The nearest number of so many bits of significand, ties to even: of `least` at least where subnormal, of less than `most` and its
 * half step, beyond which it is infinite. Scaling by powers of two is exact, so that only the rounding of whole numbers rounds.
 */
function nearest(x: number, { bits, least, most }: { bits: number; least: number; most: number }): number {
  if (!Number.isFinite(x) || x === 0) return x;
  let step = least;
  while (Math.abs(x) >= step * 2 ** bits) step *= 2;
  const scaled = Math.abs(x) / step;
  const below = Math.floor(scaled);
  const rest = scaled - below;
  const up = rest > 0.5 || (rest === 0.5 && below % 2 === 1);
  const rounded = (below + Number(up)) * step;
  return Math.sign(x) * (rounded > most ? Infinity : rounded);
}

/** What is read of an f32 that was stored so, as IEEE 754 has binary16, and bf16 the upper half of a binary32. */
export const storedAs = {
  f32: (x: number): number => x,
  f16: (x: number): number => nearest(x, { bits: 11, least: 2 ** -24, most: 65504 }),
  bf16: (x: number): number => nearest(x, { bits: 8, least: 2 ** -133, most: (2 - 2 ** -7) * 2 ** 127 }),
} as const;

/** The number that 16 bits of binary16 stand for: sign, 5 bits of exponent, 10 of significand. */
export const ofF16 = (bits: number): number => ofBits(bits, 5, 10);
/** The same with 8 and 7. */
export const ofBf16 = (bits: number): number => ofBits(bits, 8, 7);

function ofBits(bits: number, exponentBits: number, fractionBits: number): number {
  const digits = bits.toString(2).padStart(16, '0');
  const sign = digits.startsWith('1') ? -1 : 1;
  const exponent = parseInt(digits.slice(1, 1 + exponentBits), 2);
  const fraction = parseInt(digits.slice(1 + exponentBits), 2) / 2 ** fractionBits;
  const bias = 2 ** (exponentBits - 1) - 1;
  if (exponent === 2 ** exponentBits - 1) return fraction === 0 ? sign * Infinity : NaN;
  return exponent === 0 ? sign * fraction * 2 ** (1 - bias) : sign * (1 + fraction) * 2 ** (exponent - bias);
}
