export const categories = ['tensor', 'parameter', 'saved', 'workspace', 'cache'] as const;

/** What a byte is held for. */
export type Category = (typeof categories)[number];

/** Bytes held on a device, by category, with the peak since the last `mark`. */
export class Ledger {
  readonly #live = new Map<Category, number>();
  #total = 0;
  #peak = 0;

  add(category: Category, bytes: number): void {
    this.#live.set(category, this.live(category) + bytes);
    this.#total += bytes;
    if (this.#total > this.#peak) this.#peak = this.#total;
  }

  remove(category: Category, bytes: number): void {
    this.#live.set(category, this.live(category) - bytes);
    this.#total -= bytes;
  }

  /** Bytes held now, of one category or of all. */
  live(category?: Category): number {
    return category === undefined ? this.#total : (this.#live.get(category) ?? 0);
  }

  get peak(): number {
    return this.#peak;
  }

  /** Starts a new measurement: the peak becomes what is held now, which is returned. */
  mark(): number {
    this.#peak = this.#total;
    return this.#total;
  }
}
