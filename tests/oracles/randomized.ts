import { perHead, type Graph, type Matrix, type Oracle } from './graph.js';

export interface RandomizedOptions {
  readonly numSamples: number;
  readonly proposal: string;
  readonly noise: boolean;
  readonly antithetic: boolean;
  readonly scaling: string;
}

/** Row i is the key whose running sum of shares is the first above u_i, or the last that has a share. */
function drawnKeys(g: Graph, shares: Matrix, k: Matrix, u: Matrix, last: (i: number) => number): Matrix {
  const picked = Array.from({ length: shares.rows }, (_, i) => {
    let [sum, j] = [0, 0];
    for (; j < shares.columns; j++) {
      sum = g.round(sum + shares.at(i, j));
      if (sum > u.at(i, 0)) break;
    }
    return Math.min(j, last(i));
  });
  return g.gatherRows(k, picked);
}

/** Zheng, Wang, Kong 2022, section 3.1: the mean of softmax_j(ω·k_j − ‖k_j‖²/2) v over ω. */
export const randomized: Oracle<RandomizedOptions> = perHead((g, p, b, h) => {
  const { numSamples, proposal, noise, antithetic, scaling } = p.options;
  const root = Math.sqrt(p.scale);
  const [q, k] = [g.scale(p.q(b, h), root), g.scale(p.k(b, h), root)];
  const seen = (i: number, j: number): boolean => p.allowed(b, h, i, j);
  const scores = g.scale(g.matmulT(q, k), proposal === 'mean' ? 0 : 1);
  const shares = g.softmax(scores, seen);
  const last = (i: number): number =>
    Array.from({ length: p.S }, (_, j) => j).reduce((most, j) => (seen(i, j) ? j : most), -1);
  const half = g.transpose(g.scale(g.rowSum(g.mul(k, k)), 0.5));
  const outs = Array.from({ length: numSamples }, (_, r) => {
    const of = (name: string): Matrix => g.rows(p.parameter(name, r, h), 0, p.L);
    const keys = proposal === 'sampled' ? drawnKeys(g, shares, k, of('choices'), last) : g.matmul(shares, k);
    const mean = g.add(q, keys);
    const signs = !noise ? [0] : antithetic ? [1, -1] : [1];
    return signs.map((sign) => {
      const size = scaling === 'theory' ? sign : sign * root;
      const ω = sign === 0 ? mean : g.add(mean, g.scale(of('noise'), size));
      return g.matmul(g.softmax(g.sub(g.matmulT(ω, k), half), seen), p.v(b, h));
    });
  }).flat();
  return g.scale(
    outs.reduce((sum, one) => g.add(sum, one)),
    1 / outs.length,
  );
});
