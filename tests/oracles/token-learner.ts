import { activated, affine, normalised } from '../nn/formulas.js';
import type { Graph, Matrix } from './graph.js';

type Parameter = (name: string) => Matrix;

/** softmax over rows of what a perceptron says of the rows x, times the rows of the stream. */
export function tokensOf(g: Graph, x: Matrix, stream: Matrix, p: Parameter): Matrix {
  const logits = g.matmul(activated(g, 'gelu-tanh', affine(g, x, p('up'), p('upBias'))), p('down'));
  return g.matmul(g.softmax(g.transpose(logits)), stream);
}

/** Gates of every earlier row, times the mixed tokens x. */
export function fused(g: Graph, x: Matrix, earlier: Matrix, p: Parameter): Matrix {
  const scaled = (rows: Matrix, of: string): Matrix =>
    g.add(g.mul(normalised(g, rows, true), p(`${of}Scale`)), p(`${of}Bias`));
  const y = scaled(g.matmul(p('mix'), x), 'mixed');
  const hidden = activated(g, 'gelu-tanh', affine(g, scaled(earlier, 'earlier'), p('up'), p('upBias')));
  return g.matmul(sigmoid(g, affine(g, hidden, p('down'), p('downBias'))), y);
}

const sigmoid = (g: Graph, x: Matrix): Matrix =>
  g.map(
    x,
    (value, r) => r(1 / r(1 + r(Math.exp(-value)))),
    (value, r) => {
      const s = r(1 / r(1 + r(Math.exp(-value))));
      return r(s * r(1 - s));
    },
  );
