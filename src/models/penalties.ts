import { positive, finite, type Requirements } from '../core/requirements.js';

/** What makes tokens less likely that a text has already. */
export interface PenaltyOptions {
  /**
   * Logits of tokens in the prompt or the text after it are divided by it where they are positive, and multiplied where not; default 1.
   * (Keskar et al. 2019, arXiv 1909.05858, section 4.1.)
   */
  readonly repetitionPenalty?: number;
  /** Taken from the logits of tokens that were generated; default 0. */
  readonly presencePenalty?: number;
  /** Taken from the logits of a token as often as it was generated; default 0. */
  readonly frequencyPenalty?: number;
}

export const penalties: Requirements = {
  repetitionPenalty: positive,
  presencePenalty: finite,
  frequencyPenalty: finite,
};

/** The tokens of a text, and the logits that penalties leave of what comes next. */
export class Penalties {
  readonly #options: Required<PenaltyOptions>;
  readonly #seen: Set<number>;
  readonly #generated = new Map<number, number>();

  constructor(
    prompt: ArrayLike<number>,
    { repetitionPenalty = 1, presencePenalty = 0, frequencyPenalty = 0 }: PenaltyOptions,
  ) {
    this.#options = { repetitionPenalty, presencePenalty, frequencyPenalty };
    this.#seen = new Set(Array.from(prompt));
  }

  add(token: number): void {
    this.#seen.add(token);
    this.#generated.set(token, (this.#generated.get(token) ?? 0) + 1);
  }

  /** The same numbers where nothing is asked for. */
  of(logits: Float32Array): Float32Array | Float64Array {
    const { repetitionPenalty, presencePenalty, frequencyPenalty } = this.#options;
    if (repetitionPenalty === 1 && presencePenalty === 0 && frequencyPenalty === 0) return logits;
    const left = Float64Array.from(logits);
    for (const token of this.#seen) {
      const logit = left[token]!;
      left[token] = logit > 0 ? logit / repetitionPenalty : logit * repetitionPenalty;
    }
    for (const [token, count] of this.#generated) left[token]! -= presencePenalty + count * frequencyPenalty;
    return left;
  }
}
