import { perHead, type Graph, type Matrix, type Oracle, type OracleProblem } from './graph.js';

/** Options of Sinkhorn attention. */
export interface Options {
  readonly blockSize: number;
  readonly sorting: string;
  readonly iterations: number;
  readonly topK: number;
  readonly temperature: number;
  readonly noise: boolean;
  readonly sortCut: number;
  readonly combine: string;
  readonly positiveLogits: boolean;
}
type Problem = OracleProblem<Options>;
type Pairs = (u: number, v: number) => boolean;

const table = (g: Graph, rows: number, columns: number, value: (i: number, j: number) => number): Matrix =>
  g.constant(
    Array.from({ length: rows * columns }, (_, at) => value(Math.floor(at / columns), at % columns)),
    rows,
    columns,
  );

/** The largest number of each row among what is allowed, a constant. */
const topOf = (g: Graph, a: Matrix, allowed: Pairs): Matrix =>
  table(g, a.rows, 1, (u) =>
    Math.max(...Array.from({ length: a.columns }, (_, v) => (allowed(u, v) ? a.at(u, v) : -Infinity))),
  );

/** log Σ_v e^(a_uv) over what is allowed, `[rows × 1]`. */
function logSums(g: Graph, a: Matrix, allowed: Pairs): Matrix {
  const top = topOf(g, a, allowed);
  return g.add(g.log(g.rowSum(g.mask(g.exp(g.sub(g.mask(a, allowed), top)), allowed))), top);
}

const everything: Pairs = () => true;

const lower: Pairs = (u, v) => v <= u;

/**
 * e^r, rows and columns divided by their sums in turn; `causal`: of the lower triangle, columns summed up to each row. In float32 also
 * without logarithms, which rounds elsewhere.
 */
export function sinkhorn(g: Graph, r: Matrix, iterations: number, causal: boolean): Matrix {
  const seen = causal ? lower : everything;
  const N = r.rows;
  const upTo = table(g, N, N, (u, v) => Number(v <= u));
  // what is above the diagonal is not looked at
  const above = table(g, N, N, (u, v) => Number(v > u));
  if (g.order % 2 === 1) {
    let shares = g.mask(g.exp(g.sub(g.mask(r, seen), topOf(g, r, seen))), seen);
    for (let i = 0; i < iterations; i++) {
      const rows = g.div(shares, g.rowSum(shares));
      shares = g.div(rows, causal ? g.add(g.matmul(upTo, rows), above) : g.columnSum(rows));
    }
    return shares;
  }
  let log = r;
  for (let i = 0; i < iterations; i++) {
    const rows = g.sub(log, logSums(g, log, seen));
    if (causal) {
      const own = g.sub(g.mask(rows, lower), g.columnSum(g.mask(rows, (u, v) => u === v)));
      log = g.sub(own, g.log(g.add(g.matmul(upTo, g.mask(g.exp(own), lower)), above)));
    } else {
      log = g.sub(rows, g.transpose(logSums(g, g.transpose(rows), everything)));
    }
  }
  return g.mask(g.exp(log), seen);
}

/** The logits of the order of `count` blocks of the first n tokens, `[count × columns]`, `nulls` of them before blocks. */
function logits(g: Graph, p: Problem, q: Matrix, k: Matrix, count: number, nulls: number): Matrix {
  const { blockSize: size, temperature, positiveLogits } = p.options;
  const n = q.rows;
  const inBlock = (u: number): number => Math.min(size, n - u * size);
  const ofBlocks = table(g, count, n, (u, j) => (Math.floor(j / size) === u ? 1 / inBlock(u) : 0));
  const ofPast = table(g, count, n, (u, j) => (j <= u * size ? 1 / (u * size + 1) : 0));
  const means = g.matmul(ofBlocks, k);
  const keys = p.causal ? g.concatRows([table(g, nulls, p.D, () => 0), g.rows(means, 0, count - 1)]) : means;
  const R = g.scale(g.matmulT(g.matmul(p.causal ? ofPast : ofBlocks, q), keys), 1 / Math.sqrt(p.D));
  const positive = positiveLogits
    ? g.map(
        R,
        (x, r) => Math.log(r(Math.max(x, 0) + 1e-6)),
        (x, r) => (x > 0 ? 1 / r(x + 1e-6) : 0),
      )
    : R;
  return g.scale(positive, 1 / temperature);
}

/** Sorted keys or values: rows `[rank][block][place]`, and whether such a row is one. */
interface Sorted {
  readonly ranks: number;
  readonly rows: (x: Matrix, none: Matrix) => Matrix;
  readonly exists: (rank: number, block: number, place: number) => boolean;
}

function sort(g: Graph, p: Problem, r: Matrix, n: number, nulls: number): Sorted {
  const { blockSize: size, sorting, iterations, topK } = p.options;
  const count = r.rows;
  const each = (f: (u: number, t: number) => number): number[] =>
    Array.from({ length: count * size }, (_, at) => f(Math.floor(at / size), at % size));
  // the row of `none` followed by the tokens; −1: none
  const source = (column: number, t: number): number => {
    if (column < nulls) return 0;
    const at = (column - nulls) * size + t;
    return at < n ? at + 1 : -1;
  };
  if (sorting === 'sinkhorn') {
    const P = sinkhorn(g, r, iterations, p.causal);
    return {
      ranks: 1,
      exists: (_rank, _u, t) => p.causal || n > size || t < n,
      rows: (x, none) => {
        const all = g.concatRows([none, x]);
        const places = Array.from({ length: size }, (_, t) =>
          g.matmul(
            P,
            g.gatherRows(
              all,
              Array.from({ length: r.columns }, (_c, c) => source(c, t)),
            ),
          ),
        );
        return g.gatherRows(
          g.concatRows(places),
          each((u, t) => t * count + u),
        );
      },
    };
  }
  const allowed: Pairs = (u, c) => !p.causal || c < u + nulls;
  const ranks = Math.min(topK, r.columns);
  const picked = Array.from({ length: count }, (_, u) =>
    Array.from({ length: r.columns }, (_c, c) => c)
      .filter((c) => allowed(u, c))
      .sort((a, b) => r.at(u, b) - r.at(u, a) || a - b)
      .slice(0, ranks),
  );
  const weights = Array.from({ length: ranks }, (_, i) => {
    const shares = g.softmax(r, (u, c) => allowed(u, c) && !picked[u]!.slice(0, i).includes(c));
    return g.rowSum(g.mask(shares, (u, c) => picked[u]![i] === c));
  });
  return {
    ranks,
    exists: (rank, u, t) => source(picked[u]![rank]!, t) >= 0,
    rows: (x, none) => {
      const all = g.concatRows([none, x]);
      return g.concatRows(
        weights.map((weight, i) =>
          g.mul(
            g.gatherRows(
              all,
              each((u, t) => source(picked[u]![i]!, t)),
            ),
            g.gatherRows(
              weight,
              each((u) => u),
            ),
          ),
        ),
      );
    },
  };
}

/** Blocks attend to themselves and to sorted ones (arXiv 2002.11296, sections 3.1 to 3.4). */
export const sinkhornFormula: Oracle<Options> = perHead((g, p, b, h) => {
  const { blockSize: size, sorting, topK, sortCut, combine } = p.options;
  const n = p.lengths?.[b] ?? p.L;
  const count = Math.ceil(n / size);
  const [q, k, v] = [p.q(b, h), p.k(b, h), p.v(b, h)].map((x) => g.rows(x, 0, n)) as [Matrix, Matrix, Matrix];
  const nulls = !p.causal ? 0 : sorting === 'topK' ? topK : 1;
  const sorted = sort(g, p, logits(g, p, q, k, count, nulls), n, nulls);
  const none = (name: string, columns: number): Matrix =>
    p.causal ? g.rows(p.parameter(name), h, h + 1) : table(g, 1, columns, () => 0);
  const [keys, values] = [sorted.rows(k, none('nullKey', p.D)), sorted.rows(v, none('nullValue', p.E))];
  const seesSorted: Pairs = (i, j) => {
    const [rank, u, t] = [Math.floor(j / (count * size)), Math.floor(j / size) % count, j % size];
    return (sortCut > 0 ? u < sortCut : u === Math.floor(i / size)) && sorted.exists(rank, u, t);
  };
  const seesOwn: Pairs = (i, j) => Math.floor(i / size) === Math.floor(j / size) && p.allowed(b, h, i, j);
  const attend = (k: Matrix, v: Matrix, sees: Pairs): Matrix =>
    g.matmul(g.softmax(g.scale(g.matmulT(q, k), p.scale), sees), v);
  const ofBoth = (): Matrix =>
    attend(g.concatRows([keys, k]), g.concatRows([values, v]), (i, j) =>
      j < keys.rows ? seesSorted(i, j) : seesOwn(i, j - keys.rows),
    );
  const out =
    sortCut > 0
      ? attend(keys, values, seesSorted)
      : combine === 'concat'
        ? ofBoth()
        : g.add(attend(keys, values, seesSorted), attend(k, v, seesOwn));
  return g.gatherRows(
    out,
    Array.from({ length: p.L }, (_, i) => (i < n ? i : -1)),
  );
});
