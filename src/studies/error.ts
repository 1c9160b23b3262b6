/** How far a result is from float64 softmax attention, over sampled rows. */
export interface ErrorSummary {
  /** ‖result − reference‖ / ‖reference‖, all sampled rows as one vector (Frobenius). */
  readonly relative: number;
  /** Cosine of the angle between the two. */
  readonly cosine: number;
  /** The largest relative error of a single row. */
  readonly worstRow: number;
  readonly rows: number;
}

/** Sums up one row after the other. */
export class ErrorMeter {
  #difference = 0;
  #product = 0;
  #got = 0;
  #reference = 0;
  #worst = 0;
  #rows = 0;

  add(got: ArrayLike<number>, reference: ArrayLike<number>): void {
    let [difference, product, g, r] = [0, 0, 0, 0];
    for (let d = 0; d < reference.length; d++) {
      const [x, y] = [got[d]!, reference[d]!];
      difference += (x - y) ** 2;
      product += x * y;
      g += x * x;
      r += y * y;
    }
    this.#difference += difference;
    this.#product += product;
    this.#got += g;
    this.#reference += r;
    this.#worst = Math.max(this.#worst, Math.sqrt(difference / (r || 1)));
    this.#rows++;
  }

  summary(): ErrorSummary {
    return {
      relative: Math.sqrt(this.#difference / (this.#reference || 1)),
      cosine: this.#product / (Math.sqrt(this.#got * this.#reference) || 1),
      worstRow: this.#worst,
      rows: this.#rows,
    };
  }
}
