import { checkValue, checkValues, listOfNumbers, wholeBetween } from '../../core/requirements.js';
import { someCorpus, type Corpus, VOCABULARY } from '../corpus.js';
import { Grams, type Key, prefixOf, suffixOf, widened } from './grams.js';

export interface NgramOptions {
  /** Bytes of an n-gram, `n`, from 1 to 8; default 5. */
  readonly order?: number;
}

export interface NgramScore {
  /** Mean of −log₂ p of the bytes. */
  readonly bitsPerByte: number;
  readonly bytes: number;
}

const BLOCK = 65_536;
const aByte = wholeBetween(0, VOCABULARY - 1);
/** Of counts 1, 2 and at least 3, where too few n-grams are there to estimate them; KenLM's `--discount_fallback`. */
const FALLBACK = [0.5, 1, 1.5] as const;

/** What is known of the n-grams of one order. */
interface Level {
  readonly grams: Grams;
  /** How often an n-gram of the highest order occurs; by how many different bytes one of a lower order is preceded. */
  counts: Uint32Array;
  readonly contexts: Grams;
  /** Of each context: the sum of its counts, and how many of them are 1, 2, and at least 3. */
  statistics: Uint32Array;
  discounts: readonly [number, number, number];
}

const level = (): Level => ({
  grams: new Grams(),
  counts: new Uint32Array(1024),
  contexts: new Grams(),
  statistics: new Uint32Array(4096),
  discounts: FALLBACK,
});

/**
 * An n-gram model of bytes with interpolated modified Kneser–Ney smoothing: for a context `h` of `k − 1` bytes that
 * was seen,
 *
 * `p_k(w | h) = max(c(hw) − D(c(hw)), 0) / Σ_v c(hv) + (D₁N₁(h) + D₂N₂(h) + D₃N₃₊(h)) / Σ_v c(hv) · p_{k−1}(w | h′)`,
 *
 * `h′` is `h` without its first byte, `p₀ = 1/256`; `c` counts occurrences for `k = n` and different preceding bytes
 * for `k < n`; `N_r(h)` is the number of bytes with count `r` after `h`. With `n_r` the number of k-grams of count
 * `r` and `Y = n₁ / (n₁ + 2n₂)`, `D₁ = 1 − 2Y n₂/n₁`, `D₂ = 2 − 3Y n₃/n₂`, `D₃ = 3 − 4Y n₄/n₃`; where one of them is
 * not defined or outside 0 … r: 0.5, 1, 1.5.
 *
 * Chen, Goodman, "An Empirical Study of Smoothing Techniques for Language Modeling", TR-10-98, Harvard 1998. Relative
 * to the paper: the text is one stream without a symbol for its beginning; its first `n − 1` bytes just lack what
 * comes before.
 */
export class Ngram {
  /** `n`. */
  readonly order: number;
  /** `#levels[k]` is of k-grams; the first is not used. */
  readonly #levels: readonly Level[];
  readonly #scratch: Key = { high: 0, low: 0 };

  /**
   * Counts the n-grams of a corpus. Memory grows with the number of different ones, about 40 bytes for each: tens of
   * megabytes for a few megabytes of prose.
   *
   * @throws OptionError for an order out of range, FormatError when a file has changed.
   */
  constructor(corpus: Corpus, options: NgramOptions = {}) {
    checkValue('ngram', 'corpus', corpus, someCorpus);
    checkValues('ngram', options, { order: wholeBetween(1, 8) });
    const { order = 5 } = options;
    this.order = order;
    this.#levels = Array.from({ length: order + 1 }, level);
    eachByte(corpus, (key, seen) => this.#count(key, Math.min(order, seen)));
    for (let k = 1; k <= order; k++) this.#finish(this.#levels[k]!);
  }

  /** The probability of the byte `next` after the bytes of `history`, of which the last `n − 1` matter. */
  probability(history: ArrayLike<number>, next: number): number {
    checkValue('ngram', 'history', history, listOfNumbers);
    checkValue('ngram', 'next', next, aByte);
    const key: Key = { high: 0, low: 0 };
    const from = Math.max(0, history.length - this.order + 1);
    for (let i = from; i < history.length; i++) shift(key, history[i]!);
    shift(key, next);
    return this.#probability(key, history.length - from + 1);
  }

  /** Bits per byte of a text, each byte predicted from those before it. */
  score(corpus: Corpus): NgramScore {
    checkValue('ngram', 'corpus', corpus, someCorpus);
    let bits = 0;
    eachByte(corpus, (key, seen) => (bits -= Math.log2(this.#probability(key, Math.min(this.order, seen)))));
    return { bitsPerByte: bits / corpus.size, bytes: corpus.size };
  }

  /** One more occurrence; a (k + 1)-gram that is new is one more byte before its last k. */
  #count(key: Readonly<Key>, order: number): void {
    for (let k = order, occurs = order === this.order; k >= 1; k--) {
      const { grams } = this.#levels[k]!;
      const known = grams.size;
      const index = grams.add(suffixOf(key, k, this.#scratch));
      if (occurs) increment(this.#levels[k]!, index);
      if (grams.size === known) return;
      occurs = true;
    }
  }

  #finish(level: Level): void {
    const key = this.#scratch;
    const ofCount = [0, 0, 0, 0, 0];
    for (let index = 0; index < level.grams.size; index++) {
      const count = level.counts[index]!;
      if (count === 0) continue;
      if (count <= 4) ofCount[count]!++;
      const context = level.contexts.add(prefixOf(level.grams.keyOf(index, key), key));
      if (4 * context === level.statistics.length) level.statistics = widened(level.statistics);
      level.statistics[4 * context]! += count;
      level.statistics[4 * context + Math.min(count, 3)]!++;
    }
    level.discounts = discountsOf(ofCount);
  }

  #probability(key: Readonly<Key>, order: number): number {
    const scratch = this.#scratch;
    let p = 1 / VOCABULARY;
    for (let k = 1; k <= order; k++) {
      const { grams, counts, contexts, statistics, discounts } = this.#levels[k]!;
      const context = 4 * contexts.find(prefixOf(suffixOf(key, k, scratch), scratch));
      // nor is a longer one there
      if (context < 0) break;
      const index = grams.find(suffixOf(key, k, scratch));
      const count = index < 0 ? 0 : counts[index]!;
      const total = statistics[context]!;
      let kept = 0;
      for (let r = 1; r <= 3; r++) kept += discounts[r - 1]! * statistics[context + r]!;
      const discounted = count === 0 ? 0 : count - discounts[Math.min(count, 3) - 1]!;
      p = discounted / total + (kept / total) * p;
    }
    return p;
  }
}

function increment(level: Level, index: number): void {
  while (index >= level.counts.length) level.counts = widened(level.counts);
  level.counts[index]!++;
}

function discountsOf([, n1 = 0, n2 = 0, n3 = 0, n4 = 0]: readonly number[]): readonly [number, number, number] {
  const y = n1 / (n1 + 2 * n2);
  const discounts = [1 - (2 * y * n2) / n1, 2 - (3 * y * n3) / n2, 3 - (4 * y * n4) / n3] as const;
  return discounts.every((discount, i) => discount >= 0 && discount <= i + 1) ? discounts : FALLBACK;
}

function shift(key: Key, byte: number): void {
  key.high = ((key.high << 8) | (key.low >>> 24)) >>> 0;
  key.low = ((key.low << 8) | byte) >>> 0;
}

/** Each byte of a text with the seven before it, and how many bytes were seen. */
function eachByte(corpus: Corpus, visit: (key: Readonly<Key>, seen: number) => void): void {
  const block = new Uint8Array(Math.min(BLOCK, corpus.size));
  const key: Key = { high: 0, low: 0 };
  for (let start = 0; start < corpus.size; start += block.length) {
    const bytes = block.subarray(0, Math.min(block.length, corpus.size - start));
    corpus.read(start, bytes);
    for (let i = 0; i < bytes.length; i++) {
      shift(key, bytes[i]!);
      visit(key, start + i + 1);
    }
  }
}
