import { normed } from './feature-maps.js';
import { perHead, rowLogsumexp, type Graph, type Matrix, type Oracle, type OracleProblem } from './graph.js';

export interface LaraOptions {
  readonly numLandmarks: number;
  readonly proposal: string;
  readonly mixing: string;
  readonly weighting: string;
  readonly coefficient: number;
  readonly noise: boolean;
  readonly numSamples: number;
  readonly antithetic: boolean;
}

type Problem = OracleProblem<LaraOptions>;

/** Means of C stretches: with s = ⌊n/C⌋, the first (s + 1)·C − n have s rows and the others s + 1. */
function segmentMeans(g: Graph, x: Matrix, C: number): Matrix {
  const s = Math.floor(x.rows / C);
  const short = (s + 1) * C - x.rows;
  let start = 0;
  return g.concatRows(
    Array.from({ length: C }, (_, c) => {
      const rows = c < short ? s : s + 1;
      start += rows;
      return g.scale(g.columnSum(g.rows(x, start - rows, start)), 1 / rows);
    }),
  );
}

function proposals(g: Graph, p: Problem, x: Matrix, of: string, C: number): Matrix {
  const { proposal } = p.options;
  const layer = (y: Matrix): Matrix =>
    normed(
      g,
      g.affine(y, p.parameter(`${of}Map`), p.parameter(`${of}Bias`), { transposed: true }),
      p.parameter(`${of}NormWeight`),
      p.parameter(`${of}NormBias`),
    );
  if (proposal === 'plain') return segmentMeans(g, x, C);
  return proposal === 'pool' ? layer(segmentMeans(g, x, C)) : segmentMeans(g, layer(x), C);
}

/** log Σ_j exp(a_ij) of every row, with its gradient: what a row's largest element weighs is −ln of its softmax. */
function logSum(g: Graph, a: Matrix): Matrix {
  const total = rowLogsumexp(g, a, () => true);
  const shares = g.exp(g.sub(a, total));
  return g.add(total, g.log(g.rowSum(shares)));
}

const norms = (g: Graph, x: Matrix): Matrix => g.rowSum(g.mul(x, x));

/** ln ξ(x, ω) = scale·(ω·x − ‖x‖²/2), `[rows of ω × rows of x]` (Zheng, Wang, Kong 2022, section 4). */
const logξ = (g: Graph, ω: Matrix, x: Matrix, scale: number): Matrix =>
  g.scale(g.sub(g.matmulT(ω, x), g.transpose(g.scale(norms(g, x), 0.5))), scale);

export const lara: Oracle<LaraOptions> = perHead((g, p, b, h) => {
  const { numLandmarks, mixing, weighting, coefficient, noise, numSamples, antithetic } = p.options;
  const { scale } = p;
  const length = p.lengths?.[b] ?? p.S;
  const real = p.L === p.S ? length : p.L;
  const C = Math.min(numLandmarks, real, length);
  const first = (x: Matrix, rows: number): Matrix => (rows === x.rows ? x : g.rows(x, 0, rows));
  const [q, k, v] = [p.q(b, h), first(p.k(b, h), length), first(p.v(b, h), length)];
  const queryMeans = proposals(g, p, first(q, real), 'query', C);
  let keyMeans = proposals(g, p, k, 'key', C);
  if (mixing !== 'none') {
    let logits = g.scale(g.matmulT(keyMeans, keyMeans), scale);
    if (mixing === 'values') {
      const lengths = g.map(
        norms(g, segmentMeans(g, v, C)),
        (x, r) => r(Math.log(r(r(Math.sqrt(x)) + 1e-4))),
        (x) => 0.5 / Math.sqrt(x) / (Math.sqrt(x) + 1e-4),
      );
      logits = g.add(logits, g.transpose(lengths));
    }
    keyMeans = g.matmul(g.softmax(logits), keyMeans);
  }
  const means = g.add(queryMeans, keyMeans);
  const signs = antithetic ? [1, -1] : [1];
  const rounds = noise
    ? signs.flatMap((sign) =>
        Array.from({ length: numSamples }, (_, r) => g.add(means, g.scale(first(p.parameter('noise', h, r), C), sign))),
      )
    : [means];
  const ω = g.concatRows(rounds);
  const again = (x: Matrix): Matrix => g.concatRows(rounds.map(() => x));
  const keys = logξ(g, ω, k, scale); // [n × S]
  const outs = g.matmul(g.softmax(keys), v);
  // ln α, ln p as columns of samples
  let density: Matrix;
  let alpha: Matrix | undefined;
  if (weighting === 'optimal') {
    const own = again(means);
    const all = logξ(g, ω, own, scale);
    density = g.rowSum(g.mask(all, (i, j) => i === j));
    const balance = g.exp(g.sub(density, logSum(g, all)));
    const shares = g.softmax(g.scale(g.matmulT(queryMeans, first(q, real)), scale)); // [C × real]
    const centred = g.sub(shares, g.scale(g.columnSum(shares), 1 / C));
    alpha = g.map(
      g.add(again(g.scale(centred, coefficient)), balance),
      (x, r) => r(Math.log(Math.max(x, 1e-8))),
      (x) => (x > 1e-8 ? 1 / x : 0),
    );
    if (real < p.L) {
      const rest = g.constant(new Float64Array(alpha.rows * (p.L - real)), alpha.rows, p.L - real);
      alpha = g.concatColumns([alpha, rest]);
    }
  } else {
    density = logSum(g, logξ(g, ω, means, scale));
    if (weighting === 'biased') alpha = g.scale(g.matmulT(again(means), q), scale);
  }
  let logits = g.add(g.scale(g.matmulT(ω, q), scale), g.sub(logSum(g, keys), density)); // [n × L]
  if (alpha) logits = g.add(logits, alpha);
  return g.matmul(g.softmax(g.transpose(logits)), outs);
});
