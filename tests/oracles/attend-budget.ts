import { budgetOf } from '../support/compare.js';
import { generator } from '../support/random.js';
import { double, single } from './arithmetic.js';
import { attend, attendGradients, type AttendProblem, type Cotangents, type Pair, type ScoreStep } from './attend.js';

/** All results of one problem by name: out, logsumexp, dq, dk, dv, and dtable0, dtable1, … */
export type Results = Readonly<Record<string, ArrayLike<number>>>;

export interface Expected {
  readonly exact: Results;
  readonly budgets: Readonly<Record<string, number>>;
}

// plain code is run in several orders of summation until this many numbers of the smallest result were seen: the error
// of one small sum in one order may be zero by luck, and is no measure of float32
const [numbersSeen, mostOrders] = [256, 24];
/** …and no more often than about this many multiply-adds allow, but twice. */
const mostWork = 2e6;

/** What the oracle says, and the budget of each result: twice the error of plain float32 code, and rounding. */
export function expectedOf(problem: AttendProblem, cotangents?: Cotangents): Expected {
  const exact = allResults(problem, cotangents);
  const smallest = Math.min(...Object.values(exact).map((x) => x.length));
  const { B, H, L, S, D, E } = problem;
  const affordable = Math.max(2, Math.floor(mostWork / (B * H * L * S * (D + E))));
  const orders = Math.min(mostOrders, affordable, Math.ceil(numbersSeen / smallest));
  const budgets: Record<string, number> = {};
  for (let order = 0; order < orders; order++) {
    const [p, c] = order === 0 ? [problem, cotangents] : reordered(problem, cotangents, order);
    const oracle = order === 0 ? exact : allResults(p, c);
    const plain = allResults(p, c, 'plain');
    for (const name of Object.keys(exact)) {
      budgets[name] = Math.max(budgets[name] ?? 0, budgetOf(oracle[name]!, plain[name]!));
    }
  }
  return { exact, budgets };
}

/** In float64 from the definition; in plain float32 with gradients from what a fused forward pass saves. */
export function allResults(problem: AttendProblem, cotangents?: Cotangents, how: 'exact' | 'plain' = 'exact'): Results {
  const plain = how === 'plain';
  const values = attend(problem, plain ? single : double);
  if (cotangents === undefined) return { ...values };
  const { dtables, ...gradients } = plain
    ? attendGradients(problem, cotangents, single, values)
    : attendGradients(problem, cotangents);
  return { ...values, ...gradients, ...Object.fromEntries(dtables.map((table, i) => [`dtable${i}`, table])) };
}

/** The same problem with features, keys and queries in another order, so that every sum runs in another order. */
function reordered(p: AttendProblem, c: Cotangents | undefined, seed: number): [AttendProblem, Cotangents | undefined] {
  const { L, S, D, E } = p;
  const [rows, keys, features, columns] = [L, S, D, E].map((n, i) => permutation(n, 7 * seed + i));
  const original = ({ b, h, i, j }: Pair): Pair => ({ b, h, i: rows![i]!, j: keys![j]! });
  const { allowed, keep, score } = p;
  const problem: AttendProblem = {
    ...p,
    q: moved(p.q, rows!, features!),
    k: moved(p.k, keys!, features!),
    v: moved(p.v, keys!, columns!),
    ...(allowed && { allowed: (at) => allowed(original(at)) }),
    ...(keep && { keep: (at) => keep(original(at)) }),
    score: score?.map((step) => movedStep(step, original)) ?? [],
  };
  return [
    problem,
    c && {
      dout: moved(c.dout, rows!, columns!),
      ...(c.dlogsumexp && { dlogsumexp: moved(c.dlogsumexp, rows!, [0]) }),
    },
  ];
}

function movedStep({ value, slope, table }: ScoreStep, original: (at: Pair) => Pair): ScoreStep {
  return {
    value: (score, at, r) => value(score, original(at), r),
    slope: (score, at, r) => slope(score, original(at), r),
    ...(table && { table: { size: table.size, index: (at) => table.index(original(at)) } }),
  };
}

/** Blocks of `rows × columns` with both in another order. */
function moved(x: ArrayLike<number>, rows: readonly number[], columns: readonly number[]): Float64Array {
  const [height, width] = [rows.length, columns.length];
  return Float64Array.from({ length: x.length }, (_, n) => {
    const block = n - (n % (height * width));
    return x[block + rows[Math.floor((n - block) / width)]! * width + columns[n % width]!]!;
  });
}

export function permutation(n: number, seed: number): number[] {
  const next = generator(seed);
  const order = Array.from({ length: n }, (_, i) => i);
  for (let i = n - 1; i > 0; i--) {
    const j = Math.floor(next() * (i + 1));
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
}
