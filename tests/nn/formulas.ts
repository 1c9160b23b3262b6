import { erf } from '../oracles/functions.js';
import type { ActivationName } from '../../src/nn/index.js';
import type { Elementwise, Graph, Matrix } from '../oracles/graph.js';

/** The activations and their derivatives as their papers define them; `r` rounds every operation. */
const normalCdf: Elementwise = (x, r) => r(0.5 * r(1 + r(erf(r(x * Math.SQRT1_2)))));
const tanhOf: Elementwise = (x, r) => {
  const cubic = r(r(r(x * x) * x) * 0.044715);
  return r(Math.tanh(r(Math.sqrt(2 / Math.PI) * r(x + cubic))));
};
const sigmoid: Elementwise = (x, r) => r(1 / r(1 + r(Math.exp(-x))));
const relu: Elementwise = (x) => Math.max(0, x);

export const formulas: Readonly<Record<ActivationName, readonly [Elementwise, Elementwise]>> = {
  gelu: [
    (x, r, i, j) => r(x * normalCdf(x, r, i, j)),
    (x, r, i, j) => {
      const density = r(r(Math.exp(r(-0.5 * r(x * x)))) * r(1 / Math.sqrt(2 * Math.PI)));
      return r(normalCdf(x, r, i, j) + r(x * density));
    },
  ],
  'gelu-tanh': [
    (x, r, i, j) => r(r(0.5 * x) * r(1 + tanhOf(x, r, i, j))),
    (x, r, i, j) => {
      const t = tanhOf(x, r, i, j);
      const inner = r(Math.sqrt(2 / Math.PI) * r(1 + r(3 * 0.044715 * r(x * x))));
      return r(r(0.5 * r(1 + t)) + r(r(r(0.5 * x) * r(1 - r(t * t))) * inner));
    },
  ],
  silu: [
    (x, r, i, j) => r(x * sigmoid(x, r, i, j)),
    (x, r, i, j) => {
      const s = sigmoid(x, r, i, j);
      return r(s + r(r(x * s) * r(1 - s)));
    },
  ],
  relu: [relu, (x) => Number(x > 0)],
  tanh: [(x, r) => r(Math.tanh(x)), (x, r) => r(1 - r(r(Math.tanh(x)) ** 2))],
  'relu-squared': [(x, r) => r(Math.max(0, x) ** 2), (x, r, i, j) => r(2 * relu(x, r, i, j))],
};

export const activated = (g: Graph, name: ActivationName, x: Matrix): Matrix => g.map(x, ...formulas[name]);

/** x·w + b. */
export const affine = (g: Graph, x: Matrix, w: Matrix, b?: Matrix): Matrix => (b ? g.affine(x, w, b) : g.matmul(x, w));

/** (x − mean)/√(variance + ε), or x/√(mean of squares + ε). */
export const normalised = (g: Graph, x: Matrix, centre: boolean, epsilon = 1e-5): Matrix =>
  g.normalise(x, centre, epsilon);
