// A Transformer encoder of BERT's kind: its case, and the float64 reference that results are held to.

/** A matrix `[in, out]` with its bias, or gain and bias of a norm. */
export interface Affine {
  readonly weight: Float32Array;
  readonly bias: Float32Array;
}

/** `x ← norm(x + W_o·attention(x))`, then `x ← norm(x + W_2·gelu(W_1·x))`. */
export interface EncoderLayer {
  /** Queries, keys and values side by side, `[width, 3·width]`. */
  readonly qkv: Affine;
  readonly out: Affine;
  readonly norm1: Affine;
  readonly up: Affine;
  readonly down: Affine;
  readonly norm2: Affine;
}

/** `x [1, length, width]` through layers of attention of all pairs. */
export interface EncoderCase {
  readonly op: 'encoder';
  readonly length: number;
  readonly width: number;
  readonly heads: number;
  readonly hidden: number;
  readonly x: Float32Array;
  readonly layers: readonly EncoderLayer[];
}

export const EPSILON = 1e-12;

/** Random weights of the size of trained ones. `normals(count)` gives other standard normal values at each call. */
export function encoderCase(
  sizes: Pick<EncoderCase, 'length' | 'width' | 'heads' | 'hidden'> & { readonly layers: number },
  normals: (count: number) => Float32Array,
): EncoderCase {
  const { width, hidden, length } = sizes;
  const affine = (inputs: number, outputs: number): Affine => ({
    weight: normals(inputs * outputs).map((x) => x / Math.sqrt(inputs)),
    bias: normals(outputs).map((x) => x / 50),
  });
  const norm = (): Affine => ({
    weight: normals(width).map((x) => 1 + x / 50),
    bias: normals(width).map((x) => x / 50),
  });
  const layers = Array.from({ length: sizes.layers }, () => ({
    qkv: affine(width, 3 * width),
    out: affine(width, width),
    norm1: norm(),
    up: affine(width, hidden),
    down: affine(hidden, width),
    norm2: norm(),
  }));
  return { ...sizes, op: 'encoder', x: normals(length * width), layers };
}

/** Multiply-adds count as two: products of matrices, and scores and weighted sums of attention. */
export const encoderFlops = ({ length, width, hidden, layers }: EncoderCase): number =>
  layers.length * (2 * length * width * (4 * width + 2 * hidden) + 4 * length ** 2 * width);

/** The rows after the last layer, every sum and product rounded by `round`. */
export function encoded({ length, width, heads, x, layers }: EncoderCase, round: (x: number) => number): Float64Array {
  let rows: Float64Array = Float64Array.from(x);
  for (const { qkv, out, norm1, up, down, norm2 } of layers) {
    const attended = product(
      attention(product(rows, qkv, length, round), length, width, heads, round),
      out,
      length,
      round,
    );
    rows = normalised(sum(rows, attended, round), norm1, width, round);
    const fed = product(
      product(rows, up, length, round).map((h) => round(h * round(phi(h)))),
      down,
      length,
      round,
    );
    rows = normalised(sum(rows, fed, round), norm2, width, round);
  }
  return rows;
}

type Round = (x: number) => number;

const sum = (a: Float64Array, b: Float64Array, round: Round): Float64Array => a.map((x, i) => round(x + b[i]!));

function product(x: Float64Array, { weight, bias }: Affine, rows: number, round: Round): Float64Array {
  const [inputs, outputs] = [x.length / rows, bias.length];
  const y = new Float64Array(rows * outputs);
  for (let r = 0; r < rows; r++) {
    const row = y.subarray(r * outputs, (r + 1) * outputs);
    for (let k = 0; k < inputs; k++) {
      const factor = x[r * inputs + k]!;
      for (let j = 0; j < outputs; j++) row[j] = round(row[j]! + round(factor * weight[k * outputs + j]!));
    }
    for (let j = 0; j < outputs; j++) row[j] = round(row[j]! + bias[j]!);
  }
  return y;
}

function attention(qkv: Float64Array, length: number, width: number, heads: number, round: Round): Float64Array {
  const D = width / heads;
  const scale = round(1 / Math.sqrt(D));
  const y = new Float64Array(length * width);
  const at = (row: number, part: number, head: number): number => row * 3 * width + part * width + head * D;
  for (let h = 0; h < heads; h++) {
    for (let i = 0; i < length; i++) {
      const scores = Float64Array.from({ length }, (_, j) => {
        let dot = 0;
        for (let d = 0; d < D; d++) dot = round(dot + round(qkv[at(i, 0, h) + d]! * qkv[at(j, 1, h) + d]!));
        return round(dot * scale);
      });
      const max = scores.reduce((a, b) => Math.max(a, b));
      const weights = scores.map((score) => round(Math.exp(round(score - max))));
      const total = weights.reduce((a, b) => round(a + b));
      for (let d = 0; d < D; d++) {
        let value = 0;
        for (let j = 0; j < length; j++) value = round(value + round(weights[j]! * qkv[at(j, 2, h) + d]!));
        y[i * width + h * D + d] = round(value / total);
      }
    }
  }
  return y;
}

function normalised(x: Float64Array, { weight, bias }: Affine, width: number, round: Round): Float64Array {
  const y = new Float64Array(x.length);
  for (let start = 0; start < x.length; start += width) {
    const row = x.subarray(start, start + width);
    const mean = round(row.reduce((a, b) => round(a + b), 0) / width);
    const variance = round(row.reduce((a, b) => round(a + round((b - mean) ** 2)), 0) / width);
    const inverse = round(1 / Math.sqrt(variance + EPSILON));
    row.forEach((b, j) => (y[start + j] = round(round(round(b - mean) * inverse) * weight[j]!) + bias[j]!));
  }
  return y;
}

/** Φ, the standard normal distribution function, by the error function's Taylor series or continued fraction. */
function phi(x: number): number {
  const z = Math.abs(x) / Math.SQRT2;
  if (z > 3) {
    let fraction = 0;
    for (let n = 60; n > 0; n--) fraction = n / 2 / (z + fraction);
    const tail = Math.exp(-z * z) / Math.sqrt(Math.PI) / (z + fraction) / 2;
    return x < 0 ? tail : 1 - tail;
  }
  let [term, total] = [z, z];
  for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(total) && n < 200; n++) {
    term *= (-z * z) / n;
    total += term / (2 * n + 1);
  }
  return 0.5 + (Math.sign(x) * total) / Math.sqrt(Math.PI);
}
