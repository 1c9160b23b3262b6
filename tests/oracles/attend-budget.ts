import { budgetOf, expectClose, refinedBudget, type Refinable } from '../support/compare.js';
import { generator } from '../support/random.js';
import { double, single } from './arithmetic.js';
import { attend, attendGradients, type AttendProblem, type Cotangents, type Pair, type ScoreStep } from './attend.js';

/** All results of one problem by name: out, logsumexp, dq, dk, dv, and dtable0, dtable1, … */
export type Results = Readonly<Record<string, ArrayLike<number>>>;

/** Orders of summation that plain float32 code is run in at most, at first, and with how many multiply-adds at first. */
const [mostOrders, ordersAtFirst, workAtFirst] = [64, 24, 1e6];
/** Where the smallest result has fewer numbers than this, one order is not enough to start with. */
const numbersSeen = 1024;

/**
 * What the oracle says, and the budget of each result: twice the error of plain float32 code, and rounding.
 *
 * The error is the largest over 64 orders of summation, because a result may hang on few sums (one number, one row with
 * large scores), whose error in one order may be small by luck and is no measure of float32. Budgets only grow with the
 * orders, so what keeps a budget from a few of them need not wait for the rest: `refine` runs more.
 */
export class Expected implements Refinable {
  readonly exact: Results;
  readonly budgets: Record<string, number> = {};
  readonly #problem: AttendProblem;
  readonly #cotangents: Cotangents | undefined;
  orders = 0;

  constructor(problem: AttendProblem, cotangents?: Cotangents) {
    this.#problem = problem;
    this.#cotangents = cotangents;
    this.exact = allResults(problem, cotangents);
    const smallest = Math.min(...Object.values(this.exact).map((x) => x.length));
    const { B, H, L, S, D, E } = problem;
    const affordable = Math.floor(workAtFirst / (B * H * L * S * (D + E)));
    this.#run(Math.max(1, Math.min(ordersAtFirst, affordable, Math.ceil(numbersSeen / smallest))));
  }

  refine(): boolean {
    if (this.orders >= mostOrders) return false;
    this.#run(Math.min(mostOrders, 4 * this.orders));
    return true;
  }

  #run(until: number): void {
    for (; this.orders < until; this.orders++) {
      const other = this.orders === 0 ? undefined : new Reordered(this.#problem, this.orders);
      const cotangents = this.#cotangents && (other?.cotangents(this.#cotangents) ?? this.#cotangents);
      const plain = allResults(other?.problem ?? this.#problem, cotangents, 'plain');
      for (const [name, oracle] of Object.entries(this.exact)) {
        const budget = budgetOf(other?.result(name, oracle) ?? oracle, plain[name]);
        this.budgets[name] = Math.max(this.budgets[name] ?? 0, budget);
      }
    }
  }
}

export const expectedOf = (problem: AttendProblem, cotangents?: Cotangents): Expected =>
  new Expected(problem, cotangents);

/** Compares a result with what `of` makes of the oracle's, by default the whole of it. @throws where it is off by more than the budget. */
export function expectResult(
  who: string,
  name: string,
  got: ArrayLike<number>,
  expected: Expected,
  of: (x: ArrayLike<number>) => ArrayLike<number> = (x) => x,
  seed?: number | string,
): void {
  const want = of(expected.exact[name]!);
  expectClose(`${who}: ${name}`, got, want, {
    budget: refinedBudget(name, got, want, expected),
    ...(seed === undefined ? {} : { seed }),
  });
}

/** @throws where a result is missing or off by more than its budget. */
export function expectResults(who: string, got: Results, expected: Expected, seed?: number | string): void {
  for (const name of Object.keys(expected.exact)) {
    const numbers = got[name];
    if (numbers === undefined) throw new Error(`${who}: no ${name} was computed`);
    expectResult(who, name, numbers, expected, undefined, seed);
  }
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
class Reordered {
  readonly problem: AttendProblem;
  readonly #orders: Readonly<Record<'rows' | 'keys' | 'features' | 'columns', readonly number[]>>;

  constructor(p: AttendProblem, seed: number) {
    const order = (n: number, i: number): number[] => permutation(n, 7 * seed + i);
    const [rows, keys, features, columns] = [order(p.L, 0), order(p.S, 1), order(p.D, 2), order(p.E, 3)];
    const original = ({ b, h, i, j }: Pair): Pair => ({ b, h, i: rows[i]!, j: keys[j]! });
    const { allowed, keep, score } = p;
    this.#orders = { rows, keys, features, columns };
    this.problem = {
      ...p,
      q: moved(p.q, rows, features),
      k: moved(p.k, keys, features),
      v: moved(p.v, keys, columns),
      ...(allowed && { allowed: (at) => allowed(original(at)) }),
      ...(keep && { keep: (at) => keep(original(at)) }),
      score: score?.map((step) => movedStep(step, original)) ?? [],
    };
  }

  cotangents({ dout, dlogsumexp }: Cotangents): Cotangents {
    const { rows, columns } = this.#orders;
    return { dout: moved(dout, rows, columns), ...(dlogsumexp && { dlogsumexp: moved(dlogsumexp, rows, [0]) }) };
  }

  /** A result of the problem as it was, in the order of this one. */
  result(name: string, x: ArrayLike<number>): ArrayLike<number> {
    const { rows, keys, features, columns } = this.#orders;
    if (name === 'logsumexp') return moved(x, rows, [0]);
    if (name === 'out') return moved(x, rows, columns);
    if (name === 'dq') return moved(x, rows, features);
    if (name === 'dk') return moved(x, keys, features);
    return name === 'dv' ? moved(x, keys, columns) : x;
  }
}

function movedStep({ value, slope, table }: ScoreStep, original: (at: Pair) => Pair): ScoreStep {
  return {
    value: (score, at, r) => value(score, original(at), r),
    slope: (score, at, r) => slope(score, original(at), r),
    ...(table && {
      table: {
        size: table.size,
        index: (at) => table.index(original(at)),
        factor: (score, at, r) => table.factor?.(score, original(at), r) ?? 1,
      },
    }),
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
