import type { Case } from '../contract/gate/spec.js';
import type { Data } from '../contract/gate/data.js';
import { Graph, perHead, type Allowed, type Matrix, type Oracle } from './graph.js';

export interface EntmaxOptions {
  readonly alpha: number;
  readonly learnAlpha: boolean;
}

/**
 * τ of one row with `Σ_j (x_j − τ)_+^p = 1`, between max x − 1 and max x, by halving until the numbers between are used up.
 */
function threshold(g: Graph, x: readonly number[], p: number): number {
  const r = g.round;
  const top = Math.max(...x);
  let [low, high] = [r(top - 1), top];
  const seen = x.filter((value) => value > low);
  for (;;) {
    const middle = r((low + high) / 2);
    if (middle <= low || middle >= high) return low;
    const sum = seen.reduce((total, value) => r(total + r(Math.max(0, r(value - middle)) ** p)), 0);
    if (sum >= 1) low = middle;
    else high = middle;
  }
}

/**
 * α-entmax of rows, `p = [(α − 1)z − τ]_+^{1/(α−1)}` (Peters et al. 2019, equation 8), of `x = (α − 1)z`, `less` being α − 1, [1 × 1]. The
 * derivative of a root is that of one step of Newton's method at it, which is taken on the graph. A row with nothing allowed gives zeros.
 */
export function entmax(g: Graph, x: Matrix, less: Matrix, allowed: Allowed = () => true): Matrix {
  const one = g.constant([1], 1, 1);
  const power = g.div(one, less);
  const rows = Array.from({ length: x.rows }, (_, i) => {
    const seen = Array.from({ length: x.columns }, (__, j) => j).filter((j) => allowed(i, j));
    const values = seen.map((j) => x.at(i, j));
    if (values.length === 0) return { tau: 0, least: 0, empty: 1 };
    const tau = threshold(g, values, power.at(0, 0));
    return { tau, least: Math.min(...values.filter((value) => value > tau)), empty: 0 };
  });
  const inside: Allowed = (i, j) => allowed(i, j) && x.at(i, j) > rows[i]!.tau;
  const column = (of: (row: (typeof rows)[number]) => number): Matrix => g.constant(rows.map(of), x.rows, 1);
  const [root, none] = [column(({ tau }) => tau), column(({ empty }) => empty)];
  const outside = g.constant(
    Array.from({ length: x.rows * x.columns }, (_, n) => Number(!inside(Math.floor(n / x.columns), n % x.columns))),
    x.rows,
    x.columns,
  );
  /** (x − τ)_+^e */
  const powers = (tau: Matrix, e: Matrix): Matrix => {
    const u = g.add(g.mask(g.sub(x, tau), inside), outside);
    return g.mask(g.exp(g.mul(g.log(u), e)), inside);
  };
  const sum = g.rowSum(powers(root, power));
  const slope = g.detach(g.mul(g.rowSum(powers(root, g.sub(power, one))), power));
  const step = g.div(g.sub(sum, one), g.add(slope, none));
  // the root is to rounding already: the step is there for its derivative, and must not pass the smallest score inside
  const tau = g.map(
    g.add(root, step),
    (t, _, i) => (t < rows[i]!.least ? t : rows[i]!.tau),
    () => 1,
  );
  const weights = powers(tau, power);
  return g.div(weights, g.add(g.rowSum(weights), none));
}

const σ = (x: number): number => 1 / (1 + Math.exp(-x));

export const entmaxAttention: Oracle<EntmaxOptions> = perHead((g, p, b, h) => {
  const { alpha, learnAlpha } = p.options;
  const [q, k] = [p.q(b, h), p.k(b, h)];
  const seen: Allowed = (i, j) => p.allowed(b, h, i, j);
  if (alpha === 1) return g.matmul(g.softmax(g.scale(g.matmulT(q, k), p.scale), seen), p.v(b, h));
  const less = learnAlpha
    ? g.map(
        g.columns(p.parameter('alpha'), h, h + 1),
        (a, r) => r(σ(a)),
        (a) => σ(a) * σ(-a),
      )
    : g.constant([alpha - 1], 1, 1);
  const x = g.mul(g.scale(g.matmulT(q, k), p.scale), less);
  return g.matmul(entmax(g, x, less, seen), p.v(b, h));
});

/**
 * Moves queries by hundredths until no score is within 1e-4 of the edge of a support: there the derivative of the weights jumps (α = 2) or
 * has no bound (α > 1.5), and float32 may be on either side.
 */
export function awayFromEdges({ q, k, options, parameters }: Data, one: Case): void {
  const { alpha, learnAlpha } = options as unknown as EntmaxOptions;
  const { B, H, G, L, S, D } = one.shape;
  const { scale = 1 / Math.sqrt(D), causal, lengths } = one;
  if (alpha === 1) return;
  const g = new Graph();
  for (let row = 0; row < B * H * L; row++) {
    const [b, h, i] = [Math.floor(row / (H * L)), Math.floor(row / L) % H, row % L];
    const less = learnAlpha ? σ(parameters['alpha']!.data[h]!) : alpha - 1;
    if (less <= 0.5) continue;
    const end = Math.min(causal ? i + S - L + 1 : S, lengths?.[b] ?? S);
    const first = (b * G + Math.floor((h * G) / H)) * S;
    const own = q.subarray(row * D, (row + 1) * D);
    for (;;) {
      const x = Array.from(
        { length: Math.max(0, end) },
        (_, j) => less * scale * own.reduce((sum, value, d) => sum + value * k[(first + j) * D + d]!, 0),
      );
      const tau = x.length === 0 ? 0 : threshold(g, x, 1 / less);
      if (x.every((value) => Math.abs(value - tau) >= 1e-4)) break;
      own.forEach((value, d) => (own[d] = 1.01 * value));
    }
  }
}
