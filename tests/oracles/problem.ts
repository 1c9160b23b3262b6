import type { ScoreStep } from './attend.js';
import type { Graph, Matrix } from './graph.js';

/** One call of a mechanism, as its oracle sees it: matrices by batch and head, bound to one graph. */
export interface OracleProblem<O = Record<string, unknown>> {
  readonly B: number;
  readonly H: number;
  readonly G: number;
  readonly L: number;
  readonly S: number;
  readonly D: number;
  readonly E: number;
  readonly causal: boolean;
  /** Of q·k; 1/√D unless the call says otherwise. */
  readonly scale: number;
  /** All options of the mechanism, with defaults filled in. */
  readonly options: O;
  readonly seed: number;
  /** Keys per batch that are not padding. */
  readonly lengths?: readonly number[];
  /** Changes of the scaled score, in order; `withScores` applies them. */
  readonly score?: readonly ScoreStep[];
  /** `[L × D]` */
  q(b: number, h: number): Matrix;
  /** `[S × D]` of query head h; heads that share keys get one matrix. */
  k(b: number, h: number): Matrix;
  /** `[S × E]` of query head h. */
  v(b: number, h: number): Matrix;
  /** The last two axes of a parameter at the leading indices; a vector is `[1 × n]`. */
  parameter(name: string, ...leading: readonly number[]): Matrix;
  /** A further projection by name, of head h as q, k or v would be; where the caller has none, the plain q, k or v. */
  input(name: string, b: number, h: number): Matrix;
  /** Causal (j ≤ i + S − L) and padding, nothing else. */
  allowed(b: number, h: number, i: number, j: number): boolean;
}

/** The paper's formula: B·H matrices `[L × E]`, batch by batch. */
export type Oracle<O = Record<string, unknown>> = (g: Graph, p: OracleProblem<O>) => Matrix[];

/** An oracle from the formula of one head. */
export const perHead =
  <O>(f: (g: Graph, p: OracleProblem<O>, b: number, h: number) => Matrix): Oracle<O> =>
  (g, p) =>
    Array.from({ length: p.B * p.H }, (_, n) => f(g, p, Math.floor(n / p.H), n % p.H));

/** steps(scores), for the mechanisms that support score changes. */
export function withScores<O>(g: Graph, p: OracleProblem<O>, b: number, h: number, scores: Matrix): Matrix {
  return (p.score ?? []).reduce(
    (a, step) =>
      g.map(
        a,
        (x, r, i, j) => step.value(x, { b, h, i, j }, r),
        (x, r, i, j) => step.slope(x, { b, h, i, j }, r),
      ),
    scores,
  );
}

/** steps(scale·q·kᵀ) of one head, `[L × S]`. */
export const scoresOf = <O>(g: Graph, p: OracleProblem<O>, b: number, h: number): Matrix =>
  withScores(g, p, b, h, g.scale(g.matmulT(p.q(b, h), p.k(b, h)), p.scale));

/** log Σ_j exp(a_ij) over what is allowed, `[rows × 1]`, without gradient; −∞ for a row with nothing allowed. */
export function rowLogsumexp(g: Graph, a: Matrix, allowed: (i: number, j: number) => boolean): Matrix {
  const r = g.round;
  const rows = Array.from({ length: a.rows }, (_, i) => {
    const seen = Array.from({ length: a.columns }, (__, j) => j).filter((j) => allowed(i, j));
    const top = seen.reduce((most, j) => Math.max(most, a.at(i, j)), -Infinity);
    const total = seen.reduce((sum, j) => r(sum + r(Math.exp(r(a.at(i, j) - top)))), 0);
    return seen.length === 0 ? -Infinity : r(top + r(Math.log(total)));
  });
  return g.constant(rows, a.rows, 1);
}

/** The pairs of one head, kept by the options object, which each case has its own of: a rule is not asked for every order. */
function pairsOf<O>(
  known: WeakMap<object, Map<string, Uint8Array>>,
  p: OracleProblem<O>,
  b: number,
  h: number,
  sees: (i: number, j: number) => boolean,
): Uint8Array {
  const of = p.options as object;
  const all = known.get(of) ?? new Map<string, Uint8Array>();
  known.set(of, all);
  const key = [b, h, p.L, p.S, p.causal, p.seed, ...(p.lengths ?? [])].join();
  const pairs =
    all.get(key) ?? Uint8Array.from({ length: p.L * p.S }, (_, n) => Number(sees(Math.floor(n / p.S), n % p.S)));
  all.set(key, pairs);
  return pairs;
}

/**
 * softmax(scale·q·kᵀ over the allowed keys)·v, for mechanisms that are a pattern. `i` counts queries and `j` keys from 0;
 * the query's position in the keys' numbering is i + S − L. Causal and padding are added.
 */
export const patternOracle = <O = Record<string, unknown>>(
  allowed: (p: OracleProblem<O>, b: number, h: number, i: number, j: number) => boolean,
): Oracle<O> => {
  // another rule may be asked with the same options
  const own = new WeakMap<object, Map<string, Uint8Array>>();
  return perHead((g, p, b, h) => {
    const pairs = pairsOf(own, p, b, h, (i, j) => p.allowed(b, h, i, j) && allowed(p, b, h, i, j));
    const weights = g.softmax(scoresOf(g, p, b, h), (i, j) => pairs[i * p.S + j] === 1);
    return g.matmul(weights, p.v(b, h));
  });
};
