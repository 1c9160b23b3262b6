import { perHead, scoresOf, type Graph, type Matrix, type Oracle, type OracleProblem } from './graph.js';

/** Options of clustered attention. */
export interface Options {
  readonly numClusters: number;
  readonly bits: number;
  readonly iterations: number;
  readonly hashBias: boolean;
}
export interface Improved extends Options {
  readonly topK: number;
}

/** The cluster of each query: Lloyd's iterations in Hamming space, written out bit by bit; −1 for padding. */
function clusters<O extends Options>(p: OracleProblem<O>, b: number, h: number): number[] {
  const { numClusters, bits, iterations } = p.options;
  const length = p.L === p.S ? (p.lengths?.[b] ?? p.L) : p.L;
  const [q, planes, offsets] = [p.q(b, h), p.parameter('planes'), p.parameter('offsets')];
  const [starts, spares] = [p.parameter('starts'), p.parameter('spares')];
  const codes = Array.from({ length }, (_, i) =>
    Array.from({ length: bits }, (_b, bit) => {
      const side = Array.from({ length: p.D }, (_d, d) => q.at(i, d) * planes.at(d, bit)).reduce((a, c) => a + c);
      return side > offsets.at(0, bit);
    }),
  );
  const edge = (c: number): number => Math.floor((c * length) / numClusters);
  let centroids = Array.from({ length: numClusters }, (_, c) =>
    edge(c) === edge(c + 1)
      ? undefined
      : codes[edge(c) + Math.floor(Math.fround(starts.at(0, c) * (edge(c + 1) - edge(c))))],
  );
  const assign = (): number[] =>
    codes.map((code) => {
      const distances = centroids.map((one) =>
        one === undefined ? Infinity : code.filter((bit, at) => bit !== one[at]).length,
      );
      return distances.indexOf(Math.min(...distances));
    });
  let own = assign();
  for (let n = 1; n < iterations; n++) {
    centroids = centroids.map((old, c) => {
      const members = codes.filter((_, i) => own[i] === c);
      if (old === undefined) return undefined;
      return Array.from({ length: bits }, (_, bit) =>
        members.length === 0
          ? spares.at(c, bit) > 0
          : members.reduce((sum, code) => sum + (code[bit] === true ? 1 : -1), 0) > 0,
      );
    });
    own = assign();
  }
  return Array.from({ length: p.L }, (_, i) => own[i] ?? -1);
}

/** The mean queries, `[C × D]`, and the cluster of each query. */
function means<O extends Options>(
  g: Graph,
  p: OracleProblem<O>,
  b: number,
  h: number,
): { own: number[]; mean: Matrix } {
  const own = clusters(p, b, h);
  const membership = g.constant(
    Array.from({ length: p.options.numClusters * p.L }, (_, at) => {
      const [c, i] = [Math.floor(at / p.L), at % p.L];
      return own[i] === c ? 1 : 0;
    }),
    p.options.numClusters,
    p.L,
  );
  const sizes = own.reduce((all, c) => {
    if (c >= 0) all[c]!++;
    return all;
  }, new Array<number>(p.options.numClusters).fill(0));
  // rows of padding are cut out of q, so that nothing of them is read
  const length = p.L === p.S ? (p.lengths?.[b] ?? p.L) : p.L;
  const sums = g.matmul(g.columns(membership, 0, length), g.rows(p.q(b, h), 0, length));
  return {
    own,
    mean: g.div(
      sums,
      g.constant(
        sizes.map((n) => Math.max(1, n)),
        sizes.length,
        1,
      ),
    ),
  };
}

/** Each query gets what the mean of its cluster attends to (arXiv 2007.04825, equations 4 to 6). */
export const clusteredFormula: Oracle<Options> = perHead((g, p, b, h) => {
  const { own, mean } = means(g, p, b, h);
  const scores = g.scale(g.matmulT(mean, p.k(b, h)), p.scale);
  const weights = g.softmax(scores, (_, j) => p.allowed(b, h, p.L - 1, j));
  return g.gatherRows(g.matmul(weights, p.v(b, h)), own);
});

/** The largest keys of a cluster are weighted by each query itself (equations 9 to 11). */
export const improvedFormula: Oracle<Improved> = perHead((g, p, b, h) => {
  const { own, mean } = means(g, p, b, h);
  const seen = (j: number): boolean => p.lengths === undefined || j < p.lengths[b]!;
  const scores = g.scale(g.matmulT(mean, p.k(b, h)), p.scale);
  const top = Array.from({ length: mean.rows }, (_, c) => {
    const keys = Array.from({ length: p.S }, (_j, j) => j).filter(seen);
    return new Set(keys.sort((i, j) => scores.at(c, j) - scores.at(c, i) || i - j).slice(0, p.options.topK));
  });
  const inTop = (i: number, j: number): boolean => own[i]! >= 0 && top[own[i]!]!.has(j);
  const fine = g.matmul(
    g.softmax(scoresOf(g, p, b, h), (i, j) => inTop(i, j) && p.allowed(b, h, i, j)),
    p.v(b, h),
  );
  if (p.causal) return fine;
  const weights = g.softmax(scores, (_, j) => seen(j));
  const share = g.rowSum(g.mask(weights, (c, j) => top[c]!.has(j)));
  const rest = g.matmul(
    g.mask(weights, (c, j) => !top[c]!.has(j)),
    p.v(b, h),
  );
  return g.add(g.mul(fine, g.gatherRows(share, own)), g.gatherRows(rest, own));
});

/** Few clusters of few bits. */
export const small = { numClusters: 4, bits: 12, iterations: 3 };
/** Options at random. */
export const draw = (next: () => number, { L }: { readonly L: number }): Options => ({
  numClusters: 1 + Math.floor(next() * Math.min(L, 9)),
  bits: 1 + Math.floor(20 * next()),
  iterations: 1 + Math.floor(4 * next()),
  hashBias: next() < 0.5,
});
