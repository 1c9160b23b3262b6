import { activated, normalised } from '../nn/formulas.js';
import type { Graph, Matrix } from './graph.js';
import { softplus } from './mamba2.js';

export interface GatedDeltaSizes {
  /** Of values. */
  readonly heads: number;
  readonly keyHeads: number;
  readonly keySize: number;
  readonly valueSize: number;
  readonly kernel: number;
  readonly epsilon: number;
}

/** What a layer projects its rows to, and its other weights: `convolution [C, κ]` over q, k and v side by side. */
export interface GatedDeltaRows {
  readonly q: (keyHead: number) => Matrix;
  readonly k: (keyHead: number) => Matrix;
  readonly v: (head: number) => Matrix;
  /** What multiplies the head's values at the end. */
  readonly z: (head: number) => Matrix;
  /** One column: how much is written, and how long a step is. */
  readonly b: (head: number) => Matrix;
  readonly a: (head: number) => Matrix;
  readonly convolution: Matrix;
  readonly step: Matrix;
  readonly rate: Matrix;
  readonly norm: Matrix;
  /** `[H·E, W]` */
  readonly out: Matrix;
}

export const sigmoid = (g: Graph, x: Matrix): Matrix =>
  g.map(
    x,
    (value, r) => r(1 / r(1 + r(Math.exp(-value)))),
    (value, r) => {
      const y = r(1 / r(1 + r(Math.exp(-value))));
      return r(y * r(1 - y));
    },
  );

/** x/√(‖x‖² + 1e-6) */
const unit = (g: Graph, x: Matrix): Matrix =>
  g.div(
    x,
    g.map(
      g.add(g.rowSum(g.mul(x, x)), g.constant([1e-6], 1, 1)),
      (value, r) => r(Math.sqrt(value)),
      (value, r) => r(0.5 / r(Math.sqrt(value))),
    ),
  );

/** One sequence, a token after the other: every head's state forgets, is corrected where the key points, and is read. */
export function gatedDeltaMixer(g: Graph, w: GatedDeltaRows, sizes: GatedDeltaSizes): Matrix {
  const { heads, keyHeads, keySize: D, valueSize: E, kernel, epsilon } = sizes;
  const taps = g.transpose(w.convolution);
  const length = w.q(0).rows;
  const places = Array.from({ length }, (_, i) => i);
  /** Columns whose first is channel `from`, each with the rows before it, and silu. */
  const convolved = (x: Matrix, from: number): Matrix => {
    const own = g.columns(taps, from, from + x.columns);
    let sums: Matrix | undefined;
    for (let tap = 0; tap < kernel; tap++) {
      const rows = g.gatherRows(
        x,
        places.map((i) => i + tap - kernel + 1),
      );
      const part = g.mul(rows, g.rows(own, tap, tap + 1));
      sums = sums ? g.add(sums, part) : part;
    }
    return activated(g, 'silu', sums!);
  };
  const outs = Array.from({ length: heads }, (_, h) => {
    const group = Math.floor((h * keyHeads) / heads);
    const q = g.scale(unit(g, convolved(w.q(group), group * D)), D ** -0.5);
    const k = unit(g, convolved(w.k(group), (keyHeads + group) * D));
    const v = convolved(w.v(h), 2 * keyHeads * D + h * E);
    const beta = sigmoid(g, w.b(h));
    const step = softplus(g, g.add(w.a(h), g.columns(w.step, h, h + 1)));
    const rate = g.exp(g.columns(w.rate, h, h + 1));
    let S = g.constant(new Float64Array(D * E), D, E);
    const read = places.map((i) => {
      const at = (of: Matrix): Matrix => g.rows(of, i, i + 1);
      const kept = g.mul(S, g.exp(g.scale(g.mul(at(step), rate), -1)));
      const error = g.mul(g.sub(at(v), g.matmul(at(k), kept)), at(beta));
      S = g.add(kept, g.matmul(g.transpose(at(k)), error));
      return g.matmul(at(q), S);
    });
    const normed = g.mul(normalised(g, g.concatRows(read), false, epsilon), w.norm);
    return g.mul(normed, activated(g, 'silu', w.z(h)));
  });
  return g.matmul(g.concatColumns(outs), w.out);
}
