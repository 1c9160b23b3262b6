import type { Graph, Matrix } from './graph.js';

export interface Memory {
  readonly keys: number;
  readonly heads: number;
  readonly knn: number;
}

/** Which pairs of a row are among its `count` largest. */
function largest(scores: Matrix, row: number, count: number): ReadonlySet<number> {
  const order = Array.from({ length: scores.columns }, (_, j) => j);
  order.sort((a, b) => scores.at(row, b) - scores.at(row, a));
  return new Set(order.slice(0, count));
}

/**
 * Lample et al. 2019, arXiv 1907.05242, equations 1 to 3, with the scores of all pairs: `Σ_heads softmax over the knn best pairs of
 * (K¹_a·q¹ + K²_b·q²) · values`. `queries` are of all heads side by side, their two halves side by side; keys are of each head and half, one
 * below the other.
 */
export function productKeys(g: Graph, queries: Matrix, keys: Matrix, values: Matrix, of: Memory): Matrix {
  const half = keys.columns;
  const heads = Array.from({ length: of.heads }, (_, h) => {
    const [first, second] = [0, 1].map((which) => {
      const at = 2 * h + which;
      return g.matmulT(g.columns(queries, at * half, (at + 1) * half), g.rows(keys, at * of.keys, (at + 1) * of.keys));
    }) as [Matrix, Matrix];
    const sums = g.concatColumns(Array.from({ length: of.keys }, (__, a) => g.add(g.columns(first, a, a + 1), second)));
    const best = Array.from({ length: sums.rows }, (__, row) => largest(sums, row, of.knn));
    return g.matmul(
      g.softmax(sums, (row, pair) => best[row]!.has(pair)),
      values,
    );
  });
  return heads.reduce((sum, one) => g.add(sum, one));
}

/** Ioffe, Szegedy 2015, arXiv 1502.03167, algorithm 1: columns normalised over the rows. */
export function batchNormed(g: Graph, x: Matrix, weight: Matrix, bias: Matrix, epsilon: number): Matrix {
  const mean = g.scale(g.columnSum(x), 1 / x.rows);
  const centred = g.sub(x, mean);
  const variance = g.scale(g.columnSum(g.mul(centred, centred)), 1 / x.rows);
  const spread = g.map(
    variance,
    (v, r) => Math.sqrt(r(v + epsilon)),
    (v, r) => r(0.5 / Math.sqrt(r(v + epsilon))),
  );
  return g.add(g.mul(g.div(centred, spread), weight), bias);
}
