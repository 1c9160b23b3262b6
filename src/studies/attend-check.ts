import { keysSeen, type Problem, referenceRow, type Row, sampleRows, type Support } from './reference.js';
import { Check, type Verdict, worst } from './verdict.js';

const { fround } = Math;
type Numbers = ArrayLike<number>;

/** What a forward pass gave: `out` `[H,L,D]`, `logsumexp` `[H,L]`. */
export interface ForwardResult {
  readonly out: Numbers;
  readonly logsumexp: Numbers;
}
export interface BackwardResult {
  readonly dq: Numbers;
  readonly dk: Numbers;
  readonly dv: Numbers;
}

/** About 32 rows in all, and at least two of each head. */
export const rowsToCheck = ({ heads, length }: Problem, seed: number): Row[] =>
  sampleRows(heads, length, Math.max(2, Math.ceil(32 / heads)), seed);

/** Holds sampled rows of a forward pass to float64. */
export function checkForward(problem: Problem, support: Support, result: ForwardResult, rows: readonly Row[]): Verdict {
  const { length, headDim: D } = problem;
  const sees = keysSeen(support, problem);
  const [outs, sums] = [new Check(), new Check()];
  for (const row of rows) {
    const { exact, plain, logsumexp, plainLogsumexp } = referenceRow(problem, row, [sees])[0]!;
    const at = row.h * length + row.i;
    for (let d = 0; d < D; d++) outs.add(result.out[at * D + d]!, exact[d]!, plain[d]!);
    sums.add(result.logsumexp[at]!, logsumexp, plainLogsumexp);
  }
  return worst([outs.verdict(), sums.verdict()]);
}

/**
 * Holds sampled rows of the gradients to float64: `dq` of the sampled queries by the formula, `dk` and `dv` of the keys at
 * the same places. A key's gradient needs the row statistics of every query that sees it; these are taken from the
 * forward result, which was checked on its own. Where the gradients were computed from other statistics, `plainForward` has some
 * with the error of plain float32 code: the budget then allows for it.
 */
export function checkBackward(
  problem: Problem,
  support: Support,
  forward: ForwardResult,
  dout: Numbers,
  result: BackwardResult,
  rows: readonly Row[],
  plainForward: ForwardResult = forward,
): Verdict {
  const sees = keysSeen(support, problem);
  const checks = { dq: new Check(), dk: new Check(), dv: new Check() };
  const exact = new Sums(problem, forward, dout, (x) => x);
  const plain = new Sums(problem, plainForward, dout, fround);
  for (const row of rows) {
    const at = (row.h * problem.length + row.i) * problem.headDim;
    const compare = (name: 'dq' | 'dk' | 'dv', a: Float64Array, b: Float64Array): void =>
      a.forEach((value, d) => checks[name].add(result[name][at + d]!, value, b[d]!));
    const keys = indices(problem.length, (j) => sees(row, j));
    compare('dq', exact.query(row, keys), plain.query(row, keys));
    const queries = indices(problem.length, (i) => sees({ h: row.h, i }, row.i));
    const [a, b] = [exact.key(row, queries), plain.key(row, queries)];
    compare('dk', a.dk, b.dk);
    compare('dv', a.dv, b.dv);
  }
  return worst([checks.dq.verdict(), checks.dk.verdict(), checks.dv.verdict()]);
}

function indices(count: number, wanted: (index: number) => boolean): number[] {
  const out: number[] = [];
  for (let i = 0; i < count; i++) if (wanted(i)) out.push(i);
  return out;
}

/** The gradient formulas as loops; `round` after every operation makes them float64 or plain float32. */
class Sums {
  readonly #scale: number;

  constructor(
    readonly problem: Problem,
    readonly forward: ForwardResult,
    readonly dout: Numbers,
    readonly round: (x: number) => number,
  ) {
    this.#scale = round(1 / Math.sqrt(problem.headDim));
  }

  #dot(x: Numbers, atX: number, y: Numbers, atY: number): number {
    const { round } = this;
    let sum = 0;
    for (let d = 0; d < this.problem.headDim; d++) sum = round(sum + round(x[atX + d]! * y[atY + d]!));
    return sum;
  }

  /** The weight of a pair, and the gradient of its score, from the row statistics of the query. */
  #pair(query: number, key: number, delta: number): { weight: number; dscore: number } {
    const { round } = this;
    const { headDim: D, q, k, v } = this.problem;
    const score = round(this.#dot(q, query * D, k, key * D) * this.#scale);
    const weight = round(Math.exp(round(score - this.forward.logsumexp[query]!)));
    const dweight = this.#dot(this.dout, query * D, v, key * D);
    return { weight, dscore: round(weight * round(dweight - delta)) };
  }

  #delta(query: number): number {
    const D = this.problem.headDim;
    return this.#dot(this.dout, query * D, this.forward.out, query * D);
  }

  #add(sum: Float64Array, factor: number, x: Numbers, at: number): void {
    const { round } = this;
    for (let d = 0; d < sum.length; d++) sum[d] = round(sum[d]! + round(factor * x[at + d]!));
  }

  query({ h, i }: Row, keys: readonly number[]): Float64Array {
    const { headDim: D, length, k } = this.problem;
    const dq = new Float64Array(D);
    const query = h * length + i;
    const delta = this.#delta(query);
    for (const j of keys) this.#add(dq, this.#pair(query, h * length + j, delta).dscore, k, (h * length + j) * D);
    return dq.map((x) => this.round(x * this.#scale));
  }

  key({ h, i: j }: Row, queries: readonly number[]): { dk: Float64Array; dv: Float64Array } {
    const { headDim: D, length, q } = this.problem;
    const [dk, dv] = [new Float64Array(D), new Float64Array(D)];
    for (const i of queries) {
      const query = h * length + i;
      const { weight, dscore } = this.#pair(query, h * length + j, this.#delta(query));
      this.#add(dk, dscore, q, query * D);
      this.#add(dv, weight, this.dout, query * D);
    }
    return { dk: dk.map((x) => this.round(x * this.#scale)), dv };
  }
}
