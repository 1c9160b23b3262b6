/** What a loss comes to over the tokens that were scored. */
export interface MeanLoss {
  /** Mean over the tokens. */
  readonly natsPerToken: number;
  readonly bitsPerByte: number;
  /** Of a token: `exp(natsPerToken)`. */
  readonly perplexity: number;
  /** `2 ** bitsPerByte`: of a byte, so that models with other tokens can be compared. */
  readonly perplexityPerByte: number;
  readonly tokens: number;
  readonly windows: number;
  /** Standard error of `natsPerToken`, windows taken for independent; null of a single one. */
  readonly standardError: number | null;
  /** Of the forward passes. */
  readonly seconds: number;
}

/** Sums losses window by window, in float64. */
export class LossMeter {
  readonly #windows: { readonly sum: number; readonly tokens: number }[] = [];
  tokens = 0;

  /** The losses of one window, in nats. */
  add(losses: ArrayLike<number>): void {
    let sum = 0;
    for (let i = 0; i < losses.length; i++) sum += losses[i]!;
    this.#windows.push({ sum, tokens: losses.length });
    this.tokens += losses.length;
  }

  result(bytesPerToken: number, seconds: number): MeanLoss {
    const { tokens } = this;
    const windows = this.#windows.length;
    const natsPerToken = this.#windows.reduce((total, { sum }) => total + sum, 0) / tokens;
    // of a ratio of sums, to first order: windows may score unequally many
    const squares = this.#windows.reduce((total, one) => total + (one.sum - one.tokens * natsPerToken) ** 2, 0);
    const bitsPerByte = natsPerToken / Math.LN2 / bytesPerToken;
    return {
      natsPerToken,
      bitsPerByte,
      perplexity: Math.exp(natsPerToken),
      perplexityPerByte: 2 ** bitsPerByte,
      tokens,
      windows,
      standardError: windows > 1 ? Math.sqrt((squares * windows) / (windows - 1)) / tokens : null,
      seconds,
    };
  }
}
