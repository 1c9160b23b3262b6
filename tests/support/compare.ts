/** Numbers in row-major order. */
export type Numbers = ArrayLike<number>;

const ε = 2 ** -24;

/**
 * The budget of a float32 result: 2 × (error of plain float32 code against the oracle + ε·max|oracle|), where ε is half a unit
 * in the last place of 1. Without plain float32 code, `plain` is the rounded oracle, the best any f32 result can be.
 */
export function budgetOf(oracle: Numbers, plain: Numbers = Float32Array.from(oracle)): number {
  let [error, largest] = [0, 0];
  for (let i = 0; i < oracle.length; i++) {
    const want = oracle[i]!;
    if (!Number.isFinite(want)) continue;
    largest = Math.max(largest, Math.abs(want));
    const difference = Math.abs(plain[i]! - want);
    if (Number.isFinite(difference)) error = Math.max(error, difference);
  }
  return 2 * (error + ε * largest);
}

export interface CloseOptions {
  /** A number, or what plain float32 code gives: then the derived budget of `budgetOf`. Default: `budgetOf(oracle)`. */
  readonly budget?: number | Numbers;
  /** What to print for replaying the case. */
  readonly seed?: number | string;
}

/** A NaN or an infinity must be met exactly; every other number within the budget. */
export function closeEnough(got: number, want: number, budget: number): boolean {
  if (Number.isNaN(want)) return Number.isNaN(got);
  if (!Number.isFinite(want)) return got === want;
  return Math.abs(got - want) <= budget;
}

/** A budget by name that grows with the orders of summation that plain float32 code is run in. */
export interface Refinable {
  readonly budgets: Readonly<Record<string, number>>;
  /** Orders so far. */
  readonly orders: number;
  /** Runs plain code in more orders. False if it was run in all already. */
  refine(): boolean;
}

/** Twice the largest error of plain float32 code over orders of summation, and rounding, for each of several results by name. */
export class OrderBudgets implements Refinable {
  readonly budgets: Record<string, number> = {};
  orders = 0;

  /** `plain(order)` gives the results of plain float32 code; it is run in `first` orders at once, and in at most 64. */
  constructor(
    first: number,
    readonly exact: Readonly<Record<string, Numbers>>,
    readonly plain: (order: number) => Readonly<Record<string, Numbers>>,
  ) {
    this.#run(first);
  }

  refine(): boolean {
    const most = 64;
    if (this.orders >= most) return false;
    this.#run(Math.min(most, 4 * this.orders));
    return true;
  }

  #run(until: number): void {
    for (; this.orders < until; this.orders++) {
      const plain = this.plain(this.orders);
      for (const [name, want] of Object.entries(this.exact)) {
        this.budgets[name] = Math.max(this.budgets[name] ?? 0, budgetOf(want, plain[name]));
      }
    }
  }
}

/** What is off by this many budgets after a few orders is off by more than all of them together allow. */
const hopeless = { budgets: 16, orders: 4 };

/** The budget of a result, from as many orders as it needs. Budgets only grow with them, so what keeps one needs no more. */
export function refinedBudget(name: string, got: Numbers, want: Numbers, expected: Refinable): number {
  const within = (budget: number): boolean =>
    got.length === want.length && Array.from(want).every((x, i) => closeEnough(got[i]!, x, budget));
  const budget = (): number => expected.budgets[name]!;
  while (!within(budget())) {
    if (expected.orders >= hopeless.orders && !within(hopeless.budgets * budget())) break;
    if (!expected.refine()) break;
  }
  return budget();
}

/** @throws an error that names the worst index, both values, the largest error, the budget and the seed. */
export function expectClose(who: string, got: Numbers, oracle: Numbers, options: CloseOptions = {}): void {
  const seed = options.seed === undefined ? '' : `; seed ${options.seed}`;
  if (got.length !== oracle.length) throw new Error(`${who}: got ${got.length} numbers, want ${oracle.length}${seed}`);
  const budget = typeof options.budget === 'number' ? options.budget : budgetOf(oracle, options.budget);
  let [worst, largest, misses] = [-1, -1, 0];
  for (let i = 0; i < oracle.length; i++) {
    if (closeEnough(got[i]!, oracle[i]!, budget)) continue;
    misses++;
    const difference = Math.abs(got[i]! - oracle[i]!);
    // a NaN or infinity in the wrong place is worse than any number
    const size = Number.isFinite(difference) ? difference : Infinity;
    if (size > largest) [worst, largest] = [i, size];
  }
  if (misses === 0) return;
  throw new Error(
    `${who}: ${misses} of ${oracle.length} numbers off; worst at index ${worst}: got ${got[worst]}, want ${oracle[worst]}, ` +
      `error ${largest}, budget ${budget}${seed}`,
  );
}

/** @throws an error that names the first index where the bits differ. Equal NaN count as equal. */
export function expectSameBits(who: string, got: Numbers, want: Numbers): void {
  if (got.length !== want.length) throw new Error(`${who}: got ${got.length} numbers, want ${want.length}`);
  for (let i = 0; i < want.length; i++) {
    if (!Object.is(got[i], want[i])) throw new Error(`${who}: bits differ at index ${i}: ${got[i]} and ${want[i]}`);
  }
}
