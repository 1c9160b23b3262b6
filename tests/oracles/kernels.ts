import { perHead, type Graph, type Matrix, type Oracle, type OracleProblem } from './graph.js';

type Seen = (i: number, j: number) => boolean;

/**
 * `Σ_j (q_i·k_j) v_j` over what is seen. Plain code has it from the weights of all pairs, or, where all rows that see any key see the
 * same, as q(kᵀv), whose rounding is another: orders take turns. Of a single key it has the second alone, as a weight divided by
 * itself would have no error.
 */
export function sumsOver(g: Graph, q: Matrix, k: Matrix, v: Matrix, seen: Seen): Matrix {
  const rows = Array.from({ length: q.rows }, (_, i) => i);
  const keys = Array.from({ length: k.rows }, (_, j) => j).filter((j) => rows.some((i) => seen(i, j)));
  const alike = rows.every((i) => keys.every((j) => seen(i, j)) || !keys.some((j) => seen(i, j)));
  if (!alike || (keys.length !== 1 && g.order % 2 === 0)) return g.matmul(g.mask(g.matmulT(q, k), seen), v);
  const sums = g.matmul(q, g.matmul(g.transpose(g.gatherRows(k, keys)), g.gatherRows(v, keys)));
  return g.mask(sums, (i) => keys.some((j) => seen(i, j)));
}

export const ones = (g: Graph, rows: number): Matrix => g.constant(new Float64Array(rows).fill(1), rows, 1);

/**
 * `Σ_j (φ(q_i)·φ(k_j)) v_j / (φ(q_i)·Σ_j φ(k_j) + eps)` over the allowed keys (Katharopoulos et al. 2020, equations 5, 6 and 9); 0
 * where the divisor is.
 */
export function weighted(
  g: Graph,
  p: Pick<OracleProblem, 'L' | 'S' | 'allowed' | 'v'>,
  [b, h]: readonly [number, number],
  features: { readonly q: Matrix; readonly k: Matrix },
  eps = 0,
): Matrix {
  const allowed = (i: number, j: number): boolean => p.allowed(b, h, i, j);
  const { L, S } = p;
  const seen = g.constant(
    Float64Array.from({ length: L * S }, (_, n) => Number(allowed(Math.floor(n / S), n % S))),
    L,
    S,
  );
  const divisor = g.map(
    g.rowSum(g.mul(features.q, g.matmul(seen, features.k))),
    (x, r) => (r(x + eps) === 0 ? 1 : x + eps),
    () => 1,
  );
  return g.div(sumsOver(g, features.q, features.k, p.v(b, h), allowed), divisor);
}

export interface PerformerOptions {
  readonly features: 'positive' | 'hyperbolic' | 'relu' | 'naiveExp';
}

/**
 * φ(x) of the rows of x′ = scale^(1/2)·x (Choromanski et al. 2020, equations 5 and 7), without the factor M^(−½): for `relu` as in
 * their generalised attention, for `naiveExp` exp(ω·x·scale).
 */
export function performerFeatures(
  g: Graph,
  x: Matrix,
  projection: Matrix,
  features: PerformerOptions['features'],
): Matrix {
  const projected = g.matmulT(x, projection);
  if (features === 'relu') {
    return g.map(
      projected,
      (y, r) => r(Math.max(y, 0) + 1e-3),
      (y) => Number(y > 0),
    );
  }
  if (features === 'naiveExp') return g.exp(projected);
  const half = g.scale(g.rowSum(g.mul(x, x)), 0.5);
  const exponents = features === 'positive' ? projected : g.concatColumns([projected, g.scale(projected, -1)]);
  return g.exp(g.sub(exponents, half));
}

export const performer: Oracle<PerformerOptions> = perHead((g, p, b, h) => {
  const { features } = p.options;
  const root = features === 'naiveExp' ? p.scale : Math.sqrt(p.scale);
  const projection = p.parameter('projection');
  const φ = (x: Matrix): Matrix => performerFeatures(g, g.scale(x, root), projection, features);
  return weighted(g, p, [b, h], { q: φ(p.q(b, h)), k: φ(p.k(b, h)) });
});
