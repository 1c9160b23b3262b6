/** `plan`: small tables of attention plans, held once for all calls and layers of one plan. */
export const categories = ['tensor', 'parameter', 'saved', 'workspace', 'cache', 'plan'] as const;

/** What a byte is held for. */
export type Category = (typeof categories)[number];

/** Bytes held on a device, by category, with the peak since the last `mark`. */
export class Ledger {
  readonly #live = new Map<Category, number>();
  #total = 0;
  #peak = 0;
  #peakBesidePlans = 0;

  add(category: Category, bytes: number): void {
    this.#live.set(category, this.live(category) + bytes);
    this.#total += bytes;
    this.#peak = Math.max(this.#peak, this.#total);
    this.#peakBesidePlans = Math.max(this.#peakBesidePlans, this.besidePlans);
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

  /** Bytes held now, of all categories but `plan`. */
  get besidePlans(): number {
    return this.#total - this.live('plan');
  }

  /** The peak of them. */
  get peakBesidePlans(): number {
    return this.#peakBesidePlans;
  }

  /** Starts a new measurement: the peak becomes what is held now, which is returned. */
  mark(): number {
    this.#peak = this.#total;
    this.#peakBesidePlans = this.besidePlans;
    return this.#total;
  }
}
