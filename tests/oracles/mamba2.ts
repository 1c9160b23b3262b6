import { activated, normalised } from '../nn/formulas.js';
import type { Graph, Matrix } from './graph.js';

export interface Mamba2Sizes {
  readonly heads: number;
  readonly headSize: number;
  readonly groups: number;
  readonly state: number;
  readonly kernel: number;
  readonly epsilon: number;
}

/** Weights as `[in, out]`, vectors as one row. */
export interface Mamba2Weights {
  readonly in: Matrix;
  readonly inBias?: Matrix | undefined;
  /** `[C, κ]`, the last column for the row itself. */
  readonly convolution: Matrix;
  readonly convolutionBias?: Matrix | undefined;
  readonly step: Matrix;
  readonly rate: Matrix;
  readonly skip: Matrix;
  readonly norm: Matrix;
  readonly out: Matrix;
  readonly outBias?: Matrix | undefined;
}

/** ln(1 + eˣ), and its slope. */
export const softplus = (g: Graph, x: Matrix): Matrix =>
  g.map(
    x,
    (value, r) => r(Math.max(value, 0) + r(Math.log1p(r(Math.exp(-Math.abs(value)))))),
    (value, r) => r(1 / r(1 + r(Math.exp(-value)))),
  );

/** One sequence, a token after the other: every head's state forgets, is written to, and is read. */
export function mamba2Mixer(g: Graph, x: Matrix, w: Mamba2Weights, sizes: Mamba2Sizes): Matrix {
  const { heads, headSize: P, groups, state: N, kernel, epsilon } = sizes;
  const inner = heads * P;
  const channels = inner + 2 * groups * N;
  const product = g.matmul(x, w.in);
  const made = w.inBias ? g.add(product, w.inBias) : product;
  const gate = g.columns(made, 0, inner);
  const mixed = g.columns(made, inner, inner + channels);
  const steps = softplus(g, g.add(g.columns(made, inner + channels, inner + channels + heads), w.step));
  const taps = g.transpose(w.convolution);
  const places = Array.from({ length: x.rows }, (_, i) => i);
  let sums: Matrix | undefined;
  for (let tap = 0; tap < kernel; tap++) {
    const rows = g.gatherRows(
      mixed,
      places.map((i) => i + tap - kernel + 1),
    );
    const part = g.mul(rows, g.rows(taps, tap, tap + 1));
    sums = sums ? g.add(sums, part) : part;
  }
  const seen = activated(g, 'silu', w.convolutionBias ? g.add(sums!, w.convolutionBias) : sums!);
  const outs = Array.from({ length: heads }, (_, h) => {
    const group = Math.floor((h * groups) / heads);
    const v = g.columns(seen, h * P, (h + 1) * P);
    const k = g.columns(seen, inner + group * N, inner + (group + 1) * N);
    const q = g.columns(seen, inner + (groups + group) * N, inner + (groups + group + 1) * N);
    const step = g.columns(steps, h, h + 1);
    const rate = g.exp(g.columns(w.rate, h, h + 1));
    let S = g.constant(new Float64Array(N * P), N, P);
    const read = places.map((i) => {
      const at = (of: Matrix): Matrix => g.rows(of, i, i + 1);
      const kept = g.exp(g.scale(g.mul(at(step), rate), -1));
      S = g.add(g.mul(S, kept), g.matmul(g.transpose(at(k)), g.mul(at(v), at(step))));
      return g.matmul(at(q), S);
    });
    return g.add(g.concatRows(read), g.mul(v, g.columns(w.skip, h, h + 1)));
  });
  const gated = g.mul(g.concatColumns(outs), activated(g, 'silu', gate));
  const normed = g.mul(normalised(g, gated, false, epsilon), w.norm);
  const out = g.matmul(normed, w.out);
  return w.outBias ? g.add(out, w.outBias) : out;
}
