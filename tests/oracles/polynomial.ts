import { normed, square } from './feature-maps.js';
import { erf } from './functions.js';
import { weighted } from './kernels.js';
import { perHead, type Graph, type Matrix, type Oracle, type OracleProblem } from './graph.js';

export interface PolynomialOptions {
  readonly power: number;
  readonly layerNorm: boolean;
  readonly eps: number;
}

/** `Σ_j w_ij v_j / (eps + Σ_j w_ij)` over weights that are 0 where nothing is seen; 0 where the divisor is. */
function shares(g: Graph, weights: Matrix, v: Matrix, eps: number): Matrix {
  const divisor = g.map(
    g.rowSum(weights),
    (x) => (x + eps === 0 ? 1 : x + eps),
    () => 1,
  );
  return g.div(g.matmul(weights, v), divisor);
}

const product = (g: Graph, x: Matrix, times: number): Matrix =>
  Array.from({ length: times - 1 }).reduce<Matrix>((y) => g.mul(y, x), x);

/** (q·k)^p of all pairs, of rows that a norm may have changed. */
function powers<O extends PolynomialOptions>(
  g: Graph,
  p: OracleProblem<O>,
  [b, h]: readonly [number, number],
  names: readonly [string, string],
): Matrix {
  const norm = (x: Matrix): Matrix =>
    p.options.layerNorm ? normed(g, x, p.parameter(names[0]), p.parameter(names[1])) : x;
  return product(g, g.matmulT(norm(p.q(b, h)), norm(p.k(b, h))), p.options.power);
}

/** Kacham et al. 2023, section 2.1, with `eps` in the divisor. */
export const polynomial: Oracle<PolynomialOptions> = perHead((g, p, b, h) => {
  const weights = g.mask(powers(g, p, [b, h], ['weight', 'bias']), (i, j) => p.allowed(b, h, i, j));
  return shares(g, weights, p.v(b, h), p.options.eps);
});

export interface PolysketchOptions extends PolynomialOptions {
  readonly sketch: string;
  readonly sketchSize: number;
  readonly blockSize: number;
  readonly scaling: string;
}

/** Their algorithm 1: two sketches of degree m/2 make one of degree m; matrix `index` of `level` is projection<level>[index]. */
function sketchOf(g: Graph, x: Matrix, p: OracleProblem<PolysketchOptions>): Matrix {
  const { power, sketchSize: r, scaling } = p.options;
  const factor = scaling === 'theory' ? 1 / Math.sqrt(r) : 1 / r;
  const tree = (degree: number, level: number, index: number): Matrix => {
    if (degree === 1) return x;
    const side = (which: number): Matrix =>
      g.matmul(tree(degree / 2, level - 1, 2 * index + which), p.parameter(`projection${level}`, 2 * index + which));
    return g.scale(g.mul(side(0), side(1)), factor);
  };
  return tree(power / 2, Math.log2(power / 2), 0);
}

/** x·Φ(x) (Hendrycks, Gimpel 2016). */
const gelu = (g: Graph, x: Matrix): Matrix =>
  g.map(
    x,
    (y, r) => r(r(0.5 * y) * r(1 + r(erf(y * Math.SQRT1_2)))),
    (y) => 0.5 * (1 + erf(y * Math.SQRT1_2)) + (y * Math.exp(-0.5 * y * y)) / Math.sqrt(2 * Math.PI),
  );

/** √r·tanh(f₁(x) ∘ f₂(x) / √r), f being two times a norm and two layers (their section 2.4). */
function learnedSketch(g: Graph, x: Matrix, p: OracleProblem<PolysketchOptions>): Matrix {
  const root = Math.sqrt(p.options.sketchSize);
  const f = (which: number): Matrix =>
    [1, 2].reduce((y, level) => {
      const n = normed(g, y, p.parameter(`normWeight${level}`, which), p.parameter(`normBias${level}`, which));
      return g.matmul(
        gelu(g, g.matmul(n, p.parameter(`expand${level}`, which))),
        p.parameter(`contract${level}`, which),
      );
    }, x);
  const inner = g.scale(g.mul(f(0), f(1)), 1 / root);
  const bounded = g.map(inner, Math.tanh, (y, r) => r(1 - r(r(Math.tanh(y)) ** 2)));
  return g.scale(bounded, root);
}

/** Kacham et al. 2023: squared products of sketches, and (q·k)^p for pairs of one block in causal attention. */
export const polysketch: Oracle<PolysketchOptions> = perHead((g, p, b, h) => {
  const { layerNorm, blockSize, sketch, eps } = p.options;
  const features = (x: Matrix): Matrix => {
    const y = layerNorm ? normed(g, x, p.parameter('weight'), p.parameter('bias')) : x;
    return square(g, sketch === 'learned' ? learnedSketch(g, y, p) : sketchOf(g, y, p));
  };
  const rows = { q: features(p.q(b, h)), k: features(p.k(b, h)) };
  if (!p.causal || blockSize === 0) return weighted(g, p, [b, h], rows, eps);
  // positions of the longer of queries and keys, which end together
  const n = Math.max(p.L, p.S);
  const together = (i: number, j: number): boolean =>
    Math.floor((i + n - p.L) / blockSize) === Math.floor((j + n - p.S) / blockSize);
  const far = g.mask(g.matmulT(rows.q, rows.k), (i, j) => p.allowed(b, h, i, j) && !together(i, j));
  const exact = powers(g, p, [b, h], ['localWeight', 'localBias']);
  const near = g.mask(exact, (i, j) => p.allowed(b, h, i, j) && together(i, j));
  return shares(g, g.add(near, far), p.v(b, h), eps);
});
