import { checkOptions, OptionError } from '../core/errors.js';
import type { Corpus } from './corpus.js';
import { permutation } from './permutation.js';

export interface BatchOptions {
  /** Windows of a batch, `B`. */
  readonly batchSize: number;
  /** Tokens a model sees of a window, `L`; the window has one more, the last target. */
  readonly length: number;
  /** Default 0. */
  readonly seed?: number;
  /** Whether each epoch has an order of its own; otherwise windows come in the order of the text. Default true. */
  readonly shuffle?: boolean;
  /**
   * `'joined'` (the default): windows run over the ends of documents. `'separate'`: every window lies within one document, and
   * the rest of a document that is shorter than a window is left out.
   */
  readonly documents?: 'joined' | 'separate';
}

const OPTIONS = ['batchSize', 'length', 'seed', 'shuffle', 'documents'];

/** Windows of one stretch of text: their number, and those before. */
interface Stretch {
  readonly start: number;
  readonly windows: number;
  readonly before: number;
}

function problemsOf({ batchSize, length, seed = 0, documents = 'joined' }: BatchOptions): string[] {
  const problems: string[] = [];
  for (const [name, value] of Object.entries({ batchSize, length })) {
    if (Number.isSafeInteger(value) && value >= 1 && value < 2 ** 31) continue;
    problems.push(`${name} must be a whole number from 1 to 2^31 - 1; got ${value}`);
  }
  if (!Number.isSafeInteger(seed) || seed < 0) {
    problems.push(`seed must be a whole number from 0 to 2^53 - 1; got ${seed}`);
  }
  if (documents !== 'joined' && documents !== 'separate') {
    problems.push(`documents must be "joined" or "separate"; got ${JSON.stringify(documents)}`);
  }
  return problems;
}

function tooShort(corpus: Corpus, length: number, documents: 'joined' | 'separate'): string {
  const longest = corpus.documents.reduce((most, document) => Math.max(most, document.length), 0);
  const [what, bytes] = documents === 'joined' ? ['the text', corpus.size] : ['the longest document', longest];
  const shorter = bytes > 1 ? `, or a length of at most ${bytes - 1}` : '';
  return `a window of length ${length} takes ${length + 1} bytes, ${what} has ${bytes}: give more text${shorter}`;
}

/**
 * Batches of windows of a corpus. Windows begin `L` bytes apart, so that every byte but the first of a stretch is a target at most
 * once an epoch. Window `w` of the endless sequence of training is window `permutation(seed, e)(w mod n)` of the text, `e = ⌊w / n⌋`
 * the epoch and `n` the number of windows; batch `s` has the windows `B·s … B·s + B − 1`. Everything follows from (seed, step): nothing
 * has to be saved to continue with the same batches, and no list of windows is kept.
 */
export class Batches {
  /** Number of windows of an epoch, `n`. */
  readonly windows: number;
  /** Bytes of the corpus that are in no window. */
  readonly unused: number;
  readonly batchSize: number;
  readonly length: number;
  readonly seed: number;
  readonly #corpus: Corpus;
  readonly #stretches: readonly Stretch[];
  readonly #shuffle: boolean;
  /** The latest epoch and its order. */
  #epoch = -1;
  #order: (place: number) => number = (place) => place;

  /**
   * @throws OptionError naming at once every option that is wrong, and a corpus with less than one window.
   */
  constructor(corpus: Corpus, options: BatchOptions) {
    checkOptions('batches', options, OPTIONS);
    const { batchSize, length, seed = 0, shuffle = true, documents = 'joined' } = options;
    const problems = problemsOf(options);
    const stretches: Stretch[] = [];
    let before = 0;
    if (problems.length === 0) {
      const parts = documents === 'separate' ? corpus.documents : [{ start: 0, length: corpus.size }];
      for (const part of parts) {
        const windows = Math.max(0, Math.floor((part.length - 1) / length));
        if (windows > 0) stretches.push({ start: part.start, windows, before });
        before += windows;
      }
      if (before === 0) problems.push(tooShort(corpus, length, documents));
    }
    if (problems.length > 0) throw new OptionError(`batches: ${problems.join('; ')}.`);
    this.windows = before;
    this.unused = corpus.size - stretches.reduce((used, { windows }) => used + windows * length + 1, 0);
    this.batchSize = batchSize;
    this.length = length;
    this.seed = seed;
    this.#corpus = corpus;
    this.#stretches = stretches;
    this.#shuffle = shuffle;
  }

  /** How many epochs are complete, in part, when `step` begins. */
  epochAt(step: number): number {
    return this.#first(step) / this.windows;
  }

  /**
   * The tokens of a batch, `[B, L + 1]` in row-major order: the first `L` of each row are inputs, the last `L` targets.
   *
   * @throws OptionError unless `step` is a whole number of at least 0, FormatError when a file has changed.
   */
  batch(step: number): Int32Array {
    const row = new Uint8Array(this.length + 1);
    return this.#rows(step, (start, out) => {
      this.#corpus.read(start, row);
      out.set(row);
    });
  }

  /** The documents of the tokens of a batch, `[B, L + 1]`, as indices of `corpus.documents`: what a mask of documents takes. */
  documents(step: number): Int32Array {
    const { documents } = this.#corpus;
    return this.#rows(step, (start, out) => {
      let at = this.#corpus.documentAt(start);
      for (let filled = 0; filled < out.length; at++) {
        const end = Math.min(documents[at]!.start + documents[at]!.length - start, out.length);
        out.fill(at, filled, end);
        filled = end;
      }
    });
  }

  /** Where the windows of a batch begin in the corpus, in bytes. */
  starts(step: number): number[] {
    const first = this.#first(step);
    return Array.from({ length: this.batchSize }, (_, row) => this.#start(first + row));
  }

  #rows(step: number, fill: (start: number, out: Int32Array) => void): Int32Array {
    const width = this.length + 1;
    const out = new Int32Array(this.batchSize * width);
    this.starts(step).forEach((start, row) => fill(start, out.subarray(row * width, (row + 1) * width)));
    return out;
  }

  #first(step: number): number {
    const first = step * this.batchSize;
    if (Number.isSafeInteger(step) && step >= 0 && Number.isSafeInteger(first + this.batchSize)) return first;
    throw new OptionError(`batches: step must be a whole number of at least 0; got ${step}.`);
  }

  #start(sample: number): number {
    const epoch = Math.floor(sample / this.windows);
    if (this.#shuffle && epoch !== this.#epoch) {
      this.#order = permutation(this.seed, `data.order.${epoch}`, this.windows);
      this.#epoch = epoch;
    }
    const window = this.#order(sample % this.windows);
    let [low, high] = [0, this.#stretches.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#stretches[middle]!.before <= window) low = middle;
      else high = middle - 1;
    }
    const { start, before } = this.#stretches[low]!;
    return start + (window - before) * this.length;
  }
}
