import { perHead, type Graph, type Matrix, type Oracle, type OracleProblem } from './graph.js';

export interface LambdaOptions {
  readonly radius: number;
  readonly width: number;
}

const constant = (g: Graph, rows: number, columns: number, value: (i: number, j: number) => number): Matrix =>
  g.constant(
    Float64Array.from({ length: rows * columns }, (_, n) => value(Math.floor(n / columns), n % columns)),
    rows,
    columns,
  );

/** Which vector of the table is between query i and key j; −1 beyond the radius. */
function offset({ radius, width }: LambdaOptions, i: number, j: number): number {
  const side = 2 * radius + 1;
  if (width === 0) return Math.abs(j - i) <= radius ? j - i + radius : -1;
  const rows = Math.floor(j / width) - Math.floor(i / width);
  const columns = (j % width) - (i % width);
  return Math.abs(rows) <= radius && Math.abs(columns) <= radius ? (rows + radius) * side + columns + radius : -1;
}

/** Σ_d q_id λᶜ_d, λᶜ_d = Σ_j softmax_j(k_jd) v_j over the keys that i sees (Bello 2021, equations 1 and 2). */
function content<O>(g: Graph, p: OracleProblem<O>, b: number, h: number): Matrix {
  const zeros = constant(g, p.L, p.S, () => 0);
  const [q, k, v] = [p.q(b, h), p.k(b, h), p.v(b, h)];
  const seen = (i: number, j: number): boolean => p.allowed(b, h, i, j);
  return Array.from({ length: p.D }, (_, d) => {
    const column = g.columns(k, d, d + 1);
    const query = g.columns(q, d, d + 1);
    if (!p.causal) return g.mul(query, g.matmul(g.softmax(g.add(zeros, g.transpose(column)), seen), v));
    // as sums so far, one for the divisor
    const top = g.constant([Math.max(...column.data)], 1, 1);
    const powers = g.mask(g.add(zeros, g.transpose(g.exp(g.sub(column, top)))), seen);
    return g.mul(g.div(query, g.rowSum(powers)), g.matmul(powers, v));
  }).reduce((sum, one) => g.add(sum, one));
}

export const lambda: Oracle<LambdaOptions> = perHead((g, p, b, h) => {
  const vectors = p.parameter('positions', Math.floor((h * p.G) / p.H));
  const products = g.matmulT(p.q(b, h), vectors); // [L × offsets]
  const near = Array.from({ length: vectors.rows }, (_, t) =>
    g.mul(
      g.columns(products, t, t + 1),
      constant(g, p.L, p.S, (i, j) => Number(p.allowed(b, h, i, j) && offset(p.options, i, j) === t)),
    ),
  ).reduce((sum, one) => g.add(sum, one));
  return g.add(content(g, p, b, h), g.matmul(near, p.v(b, h)));
});
