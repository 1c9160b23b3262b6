/** Whether numbers of the engine agree with float64, and by how much. */
export interface Verdict {
  readonly ok: boolean;
  /** Largest absolute difference to float64. */
  readonly error: number;
  /** 2 · (error of plain float32 code + ε · max|float64|): derived, not picked. */
  readonly budget: number;
}

/** Half a unit in the last place of 1 in float32. */
const EPSILON = 2 ** -24;

/** Compares numbers with float64 ones; `plain` are those of plain float32 code and set the budget. */
export class Check {
  #error = 0;
  #plainError = 0;
  #largest = 0;
  #broken = false;

  add(got: number, exact: number, plain: number): void {
    // equal infinities differ by nothing: a row that sees no key
    if (got === exact) return this.#note(0, plain === exact ? 0 : Math.abs(plain - exact), exact);
    this.#note(Math.abs(got - exact), Math.abs(plain - exact), exact);
  }

  #note(error: number, plainError: number, exact: number): void {
    // also where the comparison fails because of NaN
    if (!(error <= this.#error)) this.#error = error;
    if (!Number.isFinite(error)) this.#broken = true;
    if (plainError > this.#plainError) this.#plainError = plainError;
    if (Number.isFinite(exact) && Math.abs(exact) > this.#largest) this.#largest = Math.abs(exact);
  }

  verdict(): Verdict {
    const budget = 2 * (this.#plainError + EPSILON * this.#largest);
    return { ok: !this.#broken && this.#error <= budget, error: this.#error, budget };
  }
}

/** All must agree; the reported one is the nearest to, or the furthest beyond, its budget. */
export function worst(verdicts: readonly Verdict[]): Verdict {
  const use = ({ error, budget }: Verdict): number => (error === 0 ? 0 : error / budget);
  const last = verdicts.reduce((a, b) => (use(b) >= use(a) || Number.isNaN(use(b)) ? b : a));
  return { ...last, ok: verdicts.every(({ ok }) => ok) };
}
