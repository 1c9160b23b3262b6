import type { Graph, Matrix } from './graph.js';

/** Rows of each group times the matrix of the group, `weights [E·K × N]`, with the row `bias[g]` added; zeros for rows of no group. */
export function grouped(g: Graph, x: Matrix, weights: Matrix, ends: readonly number[], bias?: Matrix): Matrix {
  const K = x.columns;
  const parts: Matrix[] = [];
  let start = 0;
  ends.forEach((end, group) => {
    if (end <= start) return;
    const product = g.matmul(g.rows(x, start, end), g.rows(weights, group * K, (group + 1) * K));
    parts.push(bias ? g.add(product, g.rows(bias, group, group + 1)) : product);
    start = end;
  });
  const left = x.rows - start;
  if (left > 0) parts.push(g.constant(new Float64Array(left * weights.columns), left, weights.columns));
  return g.concatRows(parts);
}
