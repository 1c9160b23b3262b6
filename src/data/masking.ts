import {
  atLeast,
  checkValue,
  checkValues,
  flag,
  fraction,
  int32From,
  text,
  wholeFrom,
  type Requirements,
} from '../core/requirements.js';
import { OptionError } from '../core/errors.js';
import { drawSpans, drawsOf, type Draws, type Span } from './spans.js';
import { NOTHING_ASKED } from './tasks/task.js';

/** How much of a text is hidden, and how. */
export interface Masking {
  /** Of the tokens of a window, above 0. */
  readonly share: number;
  /** Mean length of the spans that are hidden, in tokens; 1: tokens by themselves. */
  readonly span: number;
  /** Whole words in place of spans, of a text in bytes: as many as fit into the share. */
  readonly words: boolean;
  /** Of the spans, the share that becomes random tokens; and the share that stays. The rest becomes the mask token. */
  readonly random: number;
  readonly kept: number;
}

/** As BERT (Devlin et al. 2019, arXiv 1810.04805), with spans as long as those of T5. */
export const MASKING: Masking = { share: 0.15, span: 3, words: false, random: 0.1, kept: 0.1 };

/** What is given, or the default where it is not. */
export const maskingOf = ({
  share = MASKING.share,
  span = MASKING.span,
  words = MASKING.words,
  random = MASKING.random,
  kept = MASKING.kept,
}: Partial<Masking>): Masking => ({ share, span, words, random, kept });

export const masking: Requirements = {
  share: { must: 'a number above 0 and below 1', holds: (x) => typeof x === 'number' && x > 0 && x < 1 },
  span: atLeast(1),
  words: flag,
  random: fraction,
  kept: fraction,
};

/** What a masking contradicts itself in. */
export const faultsOfMasking = ({ random, kept, words, span }: Masking): string[] =>
  [
    random + kept > 1 && `random ${random} and kept ${kept} are more than all`,
    words && span !== MASKING.span && 'span is for spans of tokens; leave it out where whole words are hidden',
  ].filter((fault) => fault !== false);

/** Tokens of `length` that are hidden: `round(share · length)`, at least 1. */
export const maskedOf = (length: number, share: number): number => Math.max(1, Math.round(share * length));

/** A window of which something is hidden. */
export interface Masked {
  /** What the model sees. */
  readonly tokens: Int32Array;
  /** Where something is hidden, ascending; then, up to the number that the share allows, 0. */
  readonly places: Int32Array;
  /** What is hidden there; then −100. */
  readonly targets: Int32Array;
}

export interface MaskOptions extends Partial<Masking> {
  /** Tokens that may be drawn, `0 … outputs − 1`; the mask token is `outputs`. */
  readonly outputs: number;
  readonly seed: number;
  /** Of the window: the same (seed, purpose) hides the same. */
  readonly purpose: string;
}

/**
 * Hides `round(share · L)` of the L tokens of a window in spans, or whole words up to so many. What is hidden of a span is drawn for all
 * of it together: the mask token, random tokens, or what was there.
 *
 * @throws OptionError for options out of range.
 *
 * ```ts
 * import { maskTokens } from 'subquad/data';
 *
 * const text = Int32Array.from('to be or not to be', (c) => c.charCodeAt(0));
 * const { tokens, places, targets } = maskTokens(text, { outputs: 256, seed: 0, purpose: 'example' }); // 3 places
 * ```
 */
export function maskTokens(window: Int32Array, options: MaskOptions): Masked {
  checkValue('maskTokens', 'window', window, { must: 'an Int32Array', holds: (x) => x instanceof Int32Array });
  const beside = { outputs: int32From(1), seed: wholeFrom(0), purpose: text };
  checkValues('maskTokens', options, { ...masking, ...beside }, ['outputs', 'seed', 'purpose']);
  const { outputs, seed, purpose, ...given } = options;
  const how = maskingOf(given);
  const faults = faultsOfMasking(how);
  if (faults.length > 0) throw new OptionError(`maskTokens: ${faults.join('; ')}.`);
  const draw = drawsOf(seed, purpose);
  const { length } = window;
  const count = maskedOf(length, how.share);
  const spans = how.words
    ? drawWords(window, count, draw)
    : drawSpans({ length, count, mean: how.span, apart: 0 }, draw);
  const tokens = window.slice();
  const places = new Int32Array(count);
  const targets = new Int32Array(count).fill(NOTHING_ASKED);
  let filled = 0;
  for (const { start, length: own } of spans) {
    const kind = draw(2 ** 32) / 2 ** 32;
    for (let at = start; at < start + own; at++) {
      places[filled] = at;
      targets[filled++] = window[at]!;
      if (kind < how.random) tokens[at] = draw(outputs);
      else if (kind >= how.random + how.kept) tokens[at] = outputs;
    }
  }
  return { tokens, places, targets };
}

/** Words of a text in bytes, in random order while they fit into `count` bytes; then in the order of the text. */
function drawWords(window: Int32Array, count: number, draw: Draws): Span[] {
  const words = wordsOf(window);
  const chosen: Span[] = [];
  let left = count;
  for (let i = 0; i < words.length && left > 0; i++) {
    // what was not looked at yet, in the order of a shuffle
    const other = i + draw(words.length - i);
    [words[i], words[other]] = [words[other]!, words[i]!];
    if (words[i]!.length > left) continue;
    chosen.push(words[i]!);
    left -= words[i]!.length;
  }
  return chosen.sort((a, b) => a.start - b.start);
}

/** Runs of letters and digits, bytes beyond ASCII among them; and each other byte that is no white space. */
function wordsOf(window: Int32Array): Span[] {
  const words: Span[] = [];
  let start = 0;
  for (let at = 0; at <= window.length; at++) {
    if (at < window.length && inWord(window[at]!)) continue;
    if (at > start) words.push({ start, length: at - start });
    if (at < window.length && window[at]! > 0x20) words.push({ start: at, length: 1 });
    start = at + 1;
  }
  return words;
}

const inWord = (byte: number): boolean =>
  byte >= 0x80 || (byte >= 0x30 && byte <= 0x39) || ((byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x7a);
