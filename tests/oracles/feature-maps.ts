import { perHead, type Graph, type Matrix, type Oracle, type OracleProblem } from './graph.js';
import { weighted } from './kernels.js';

export interface LinearOptions {
  readonly featureMap: string;
  readonly nu: number;
  readonly eps: number;
}

/** One row and side of a head: what a map may read beside the rows. */
interface Side {
  readonly scale: number;
  readonly nu: number;
  readonly of: 'q' | 'k';
  /** The learned matrix of this head and side. */
  readonly matrix: () => Matrix;
  readonly parameter: (name: string) => Matrix;
}

const relu = (g: Graph, x: Matrix): Matrix =>
  g.map(
    x,
    (y) => Math.max(y, 0),
    (y) => Number(y > 0),
  );

const negative = (g: Graph, x: Matrix): Matrix => g.scale(x, -1);

/** x ⊗ x of every row: all products of two of its numbers, `[n × D²]`. */
export const square = (g: Graph, x: Matrix): Matrix =>
  g.concatColumns(Array.from({ length: x.columns }, (_, i) => g.mul(g.columns(x, i, i + 1), x)));

/** (x − mean) / √(variance + 1e-5) · weight + bias of every row (Ba, Kiros, Hinton 2016). */
export const normed = (g: Graph, x: Matrix, weight: Matrix, bias: Matrix): Matrix =>
  g.add(g.mul(g.normalise(x, true, 1e-5), weight), bias);

const maps: Readonly<Record<string, (g: Graph, x: Matrix, side: Side) => Matrix>> = {
  /** elu(x) + 1 (Katharopoulos et al. 2020, equation 7). */
  elu1: (g, x) =>
    g.map(
      x,
      (y, r) => (y > 0 ? y + 1 : r(Math.exp(y))),
      (y, r) => (y > 0 ? 1 : r(Math.exp(y))),
    ),
  relu,
  exp: (g, x) => g.exp(x),
  softmax: (g, x) => g.softmax(x),
  /** r = [max(x, 0), max(−x, 0)]; r_j r_(j−i), i = 1 … ν, j − i taken modulo 2D (Schlag et al. 2021, equation 37). */
  dpfp: (g, x, { nu }) => {
    const both = g.concatColumns([relu(g, x), relu(g, negative(g, x))]);
    const n = both.columns;
    const turned = (i: number): Matrix =>
      g.concatColumns(
        Array.from({ length: n }, (_, j) => {
          const from = (j - i + n) % n;
          return g.columns(both, from, from + 1);
        }),
      );
    return g.concatColumns(Array.from({ length: nu }, (_, i) => g.mul(both, turned(i + 1))));
  },
  /** softmax([2Wx, −2Wx]) (Zhang et al. 2024; the factor is that of released code). */
  hedgehog: (g, x, { matrix }) => {
    const y = g.scale(g.matmulT(x, matrix()), 2);
    return g.softmax(g.concatColumns([y, negative(g, y)]));
  },
  /** max(Wx, 0) (Kasai et al. 2021). */
  t2r: (g, x, { matrix }) => relu(g, g.matmulT(x, matrix())),
  /** [1, x, x ⊗ x / √2], so that products are 1 + s + s²/2 with s = scale·q·k (Arora et al. 2024). */
  taylor: (g, x, { of, scale }) => {
    const y = of === 'q' ? g.scale(x, scale) : x;
    const one = g.constant(new Float64Array(x.rows).fill(1), x.rows, 1);
    return g.concatColumns([one, y, g.scale(square(g, y), Math.SQRT1_2)]);
  },
  /** y ⊗ y of normed rows, so that products are (scale·q·k)² (Aksenov et al. 2024). */
  rebased: (g, x, { of, scale, parameter }) => {
    const y = normed(g, x, parameter('weight'), parameter('bias'));
    return square(g, of === 'q' ? g.scale(y, scale) : y);
  },
};

/** Katharopoulos et al. 2020, with the feature maps of others. */
export const linearTransformer: Oracle<LinearOptions> = perHead((g, p: OracleProblem<LinearOptions>, b, h) => {
  const { featureMap, nu, eps } = p.options;
  const side = (of: 'q' | 'k'): Side => ({
    scale: p.scale,
    nu,
    of,
    matrix: () => (of === 'q' ? p.parameter('queryMap', h) : p.parameter('keyMap', Math.floor((h * p.G) / p.H))),
    parameter: (name) => p.parameter(name),
  });
  const φ = (x: Matrix, of: 'q' | 'k'): Matrix => maps[featureMap]!(g, x, side(of));
  return weighted(g, p, [b, h], { q: φ(p.q(b, h), 'q'), k: φ(p.k(b, h), 'k') }, eps);
});
