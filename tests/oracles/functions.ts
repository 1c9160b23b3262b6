/**
 * erf of a float64: below 2 the alternating series 2/√π · Σ (−1)ⁿ x^(2n+1) / (n! (2n + 1)), above it 1 − erfc by the continued
 * fraction (Abramowitz and Stegun, 7.1.5 and 7.1.14).
 */
export function erf(x: number): number {
  const size = Math.abs(x);
  if (size > 2) return Math.sign(x) * (1 - erfc(size));
  let [power, sum] = [x, x];
  for (let n = 1; n < 60; n++) {
    power *= (-x * x) / n;
    sum += power / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
}

/** √π · e^(x²) · erfc x = 1/(x + (1/2)/(x + (2/2)/(x + (3/2)/(x + …)))). */
function erfc(x: number): number {
  if (x > 30) return 0;
  let tail = x;
  for (let n = 80; n >= 1; n--) tail = x + n / 2 / tail;
  return Math.exp(-x * x) / Math.sqrt(Math.PI) / tail;
}
