import { perHead, type Graph, type Matrix, type Oracle } from './graph.js';

/** log₂(1 + 2^x) */
const softplus = (g: Graph, x: Matrix): Matrix =>
  g.map(
    x,
    (y, r) => r(Math.max(y, 0) + r(r(Math.log(r(1 + r(Math.exp(r(-Math.abs(y) * Math.LN2)))))) * Math.LOG2E)),
    (y) => 1 / (1 + 2 ** -y),
  );

/** Ma et al. 2021, equations 3 and 4; causal: section 3.3. */
export const luna: Oracle<{ readonly memory: number }> = perHead((g, p, b, h) => {
  const [q, k, v] = [p.q(b, h), p.k(b, h), p.v(b, h)];
  const memory = p.parameter('memory', Math.floor((h * p.G) / p.H)); // [l × D]
  const seen = (i: number, j: number): boolean => p.allowed(b, h, i, j);
  if (!p.causal) {
    const pack = g.softmax(g.scale(g.matmulT(memory, k), p.scale), (_, j) => seen(0, j));
    return g.matmul(g.softmax(g.scale(g.matmulT(q, g.matmul(pack, k)), p.scale)), g.matmul(pack, v));
  }
  const shares = softplus(g, g.scale(g.matmulT(k, memory), p.scale)); // [S × l]
  const tokens = g.constant(
    Float64Array.from({ length: p.L }, (_, i) => Math.max(1, i + 1 + p.S - p.L)),
    p.L,
    1,
  );
  const unpacked = g.matmul(g.mask(g.matmulT(g.scale(q, p.scale), k), seen), shares); // [L × l]
  const weights = g.softmax(g.div(unpacked, tokens));
  return g.div(g.matmul(g.mask(g.matmulT(weights, shares), seen), v), tokens);
});
