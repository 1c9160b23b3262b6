import { checkValue, wholeBetween } from '../../core/requirements.js';
import { someCorpus, type Corpus } from '../corpus.js';
import { CHUNK, textsOf } from './texts.js';

const BYTES = 256;
const MOST = 2 ** 20;
/** Different words that are kept; when they are there, only these are counted on. */
const MOST_WORDS = 2 ** 20;
/** GPT-2's division of a text into words. */
const WORDS = /'(?:s|t|re|ve|m|ll|d)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu;

export interface TrainedBpe {
  /** The text of a `tokenizer.json` file. */
  readonly json: string;
  /** Tokens that it has: fewer than asked for if no two tokens come together twice any more. */
  readonly vocabulary: number;
}

interface Word {
  readonly count: number;
  tokens: readonly number[];
}

/**
 * A byte-level BPE tokeniser learned from a text: tokens are the 256 bytes, then, one by one, the two tokens that
 * most often stand side by side within a word (of several, those of the smallest ids) joined. The same text gives the
 * same file. Memory grows with the number of different words, up to a million of them.
 *
 * Sennrich, Haddow, Birch, "Neural Machine Translation of Rare Words with Subword Units", ACL 2016, arXiv:1508.07909;
 * bytes and words as of Radford et al., "Language Models are Unsupervised Multitask Learners" (2019).
 *
 * @throws OptionError for a vocabulary out of range, FormatError when a file has changed.
 */
export function trainBpe(corpus: Corpus, vocabulary: number): TrainedBpe {
  checkValue('trainBpe', 'corpus', corpus, someCorpus);
  checkValue('trainBpe', 'vocabulary', vocabulary, wholeBetween(BYTES, MOST));
  const pairs = new Pairs(wordsOf(corpus));
  const names = byteNames();
  const merges: [string, string][] = [];
  while (names.length < vocabulary) {
    const best = pairs.best();
    if (best === undefined) break;
    const [left, right] = [names[best[0]]!, names[best[1]]!];
    merges.push([left, right]);
    pairs.join(...best, names.length);
    names.push(left + right);
  }
  return { json: jsonOf(names, merges), vocabulary: names.length };
}

function wordsOf(corpus: Corpus): Word[] {
  const counts = new Map<string, number>();
  for (const document of corpus.documents) {
    for (const text of textsOf(corpus, document, CHUNK)) {
      for (const [word] of text.matchAll(WORDS)) {
        const count = counts.get(word);
        if (count !== undefined || counts.size < MOST_WORDS) counts.set(word, (count ?? 0) + 1);
      }
    }
  }
  const encoder = new TextEncoder();
  return Array.from(counts, ([word, count]) => ({ count, tokens: [...encoder.encode(word)] }));
}

/** How often two tokens stand side by side. */
class Pairs {
  readonly #words: readonly Word[];
  /** Pairs, `left · MOST + right`, are numbered as they come. */
  readonly #numbers = new Map<number, number>();
  readonly #keys: number[] = [];
  readonly #counts: number[] = [];
  /** Words that have or had the pair. */
  readonly #where: Set<number>[] = [];

  constructor(words: readonly Word[]) {
    this.#words = words;
    words.forEach((_, word) => this.#count(word, 1));
  }

  /** The most frequent pair, if it comes more than once. */
  best(): readonly [number, number] | undefined {
    let best = -1;
    let most = 1;
    for (let i = 0; i < this.#counts.length; i++) {
      const count = this.#counts[i]!;
      if (count < most || (count === most && (best < 0 || this.#keys[i]! > this.#keys[best]!))) continue;
      most = count;
      best = i;
    }
    return best < 0 ? undefined : [Math.floor(this.#keys[best]! / MOST), this.#keys[best]! % MOST];
  }

  join(left: number, right: number, joined: number): void {
    for (const index of this.#where[this.#numbers.get(left * MOST + right)!]!) {
      this.#count(index, -1);
      const word = this.#words[index]!;
      const tokens: number[] = [];
      for (const token of word.tokens) {
        // the token just made is never joined again, since it is neither of the two
        if (token === right && tokens.at(-1) === left) tokens[tokens.length - 1] = joined;
        else tokens.push(token);
      }
      word.tokens = tokens;
      this.#count(index, 1);
    }
  }

  #count(index: number, sign: 1 | -1): void {
    const { tokens, count } = this.#words[index]!;
    for (let i = 1; i < tokens.length; i++) {
      const key = tokens[i - 1]! * MOST + tokens[i]!;
      let number = this.#numbers.get(key);
      if (number === undefined) {
        number = this.#keys.push(key) - 1;
        this.#numbers.set(key, number);
        this.#counts.push(0);
        this.#where.push(new Set());
      }
      this.#counts[number]! += sign * count;
      if (sign > 0) this.#where[number]!.add(index);
    }
  }
}

/** The characters that stand for bytes in the file: visible ones for themselves, the others from U+0100 on. */
function byteNames(): string[] {
  let next = BYTES;
  const named = (byte: number): boolean => (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad);
  return Array.from({ length: BYTES }, (_, byte) => String.fromCharCode(named(byte) ? byte : next++));
}

function jsonOf(names: readonly string[], merges: readonly (readonly [string, string])[]): string {
  const level = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };
  const vocab = Object.fromEntries(names.map((name, id) => [name, id]));
  const model = { type: 'BPE', dropout: null, unk_token: null, fuse_unk: false, byte_fallback: false, vocab, merges };
  const file = { version: '1.0', added_tokens: [], normalizer: null, pre_tokenizer: level, post_processor: null };
  return `${JSON.stringify({ ...file, decoder: level, model }, null, 1)}\n`;
}
