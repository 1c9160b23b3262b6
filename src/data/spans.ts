import { philox, purposeWords, seedKey } from '../core/random.js';

/** Whole numbers from 0 to below a bound, up to 2³², one after the other. */
export type Draws = (bound: number) => number;

/** The stream (seed, purpose) as whole numbers: of each word of 32 bits its share of the bound, rounded down. */
export function drawsOf(seed: number, purpose: string): Draws {
  const [key, words] = [seedKey(seed), purposeWords(purpose)];
  let block: readonly number[] = [];
  let drawn = 0;
  return (bound) => {
    if (drawn % 4 === 0) block = philox([drawn / 4, 0, words[0], words[1]], key);
    return Math.floor((block[drawn++ % 4]! * bound) / 2 ** 32);
  };
}

/** `start … start + length − 1`. */
export interface Span {
  readonly start: number;
  readonly length: number;
}

export interface SpanOptions {
  /** Tokens of the text, L. */
  readonly length: number;
  /** Tokens in spans, n. */
  readonly count: number;
  /** Mean length of a span. */
  readonly mean: number;
  /** Tokens at least between two spans, 0 or 1. */
  readonly apart: 0 | 1;
}

/**
 * Spans that cover n of L tokens exactly, in order: m = round(n / mean) of them. All ways to divide n tokens into m spans are equally
 * likely, and all ways to put the rest around them: lengths are geometric numbers whose sum is n. A mean of 1 with spans that may touch
 * picks n tokens by themselves.
 *
 * (SpanBERT, Joshi et al. 2020, arXiv 1907.10529, draws geometric lengths until enough is covered; T5, Raffel et al. 2020, arXiv
 * 1910.10683, divides n as here.)
 */
export function drawSpans({ length, count, mean, apart }: SpanOptions, draw: Draws): Span[] {
  const rest = length - count;
  const m = Math.max(1, Math.min(Math.round(count / mean), apart === 1 ? rest + 1 : count));
  const lengths = composition(count, m, draw);
  // each gap with one more than it may at least have
  const least = (i: number): number => (i === 0 || i === m ? 0 : apart);
  const added = m + 1 - (m - 1) * apart;
  const gaps = composition(rest + added, m + 1, draw).map((gap, i) => gap - 1 + least(i));
  let at = 0;
  return lengths.map((own, i) => {
    const start = at + gaps[i]!;
    at = start + own;
    return { start, length: own };
  });
}

/** `total` as a sum of `parts` numbers of at least 1, all such sums equally likely: cut at different places. */
function composition(total: number, parts: number, draw: Draws): number[] {
  // a choice without repetition (Floyd; Bentley, "Programming pearls", CACM 1987)
  const cuts = new Set<number>();
  for (let most = total - parts + 1; most < total; most++) {
    const cut = 1 + draw(most);
    cuts.add(cuts.has(cut) ? most : cut);
  }
  const sorted = [...cuts].sort((a, b) => a - b);
  return Array.from({ length: parts }, (_, i) => (sorted[i] ?? total) - (sorted[i - 1] ?? 0));
}
