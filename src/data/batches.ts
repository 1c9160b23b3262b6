import { OptionError } from '../core/errors.js';
import { checkValue, having, oneOf, reasonsAgainst, refuse, wholeBetween, wholeFrom } from '../core/requirements.js';
import { permutation } from './permutation.js';
import type { TokenSource } from './tokens.js';

export interface BatchOptions {
  /** Windows of a batch, `B`. */
  readonly batchSize: number;
  /** Tokens a model sees of a window, `L`; the window has one more, the last target. */
  readonly length: number;
  /** Default 0. */
  readonly seed?: number;
  /**
   * `'shuffled'` (the default): each epoch has an order of its own. `'sequential'`: the order of the text.
   * `'streams'`: the text is cut into `B` contiguous streams of equal length, and row `b` of a batch continues row
   * `b` of the one before: what a model with memory reads.
   */
  readonly order?: 'shuffled' | 'sequential' | 'streams';
  /**
   * `'joined'` (the default): windows run over the ends of documents. `'separate'`: every window lies within one
   * document, and the rest of a document that is shorter than a window is left out.
   */
  readonly documents?: 'joined' | 'separate';
}

const count = wholeBetween(1, 2 ** 31 - 1, '2^31 - 1');
const requirements = {
  batchSize: count,
  length: count,
  seed: wholeFrom(0),
  order: oneOf(['shuffled', 'sequential', 'streams']),
  documents: oneOf(['joined', 'separate']),
};
const someText = having('a text in tokens, as openCorpus opens', 'read', 'documentAt');

/** Windows of one stretch of text: their number, and those before. */
interface Stretch {
  readonly start: number;
  readonly windows: number;
  readonly before: number;
}

function problemsOf(options: BatchOptions): string[] {
  const problems = [...reasonsAgainst(options, requirements, ['batchSize', 'length'])];
  const { order, documents } = Object(options) as BatchOptions;
  if (order === 'streams' && documents === 'separate') {
    problems.push('order "streams" runs over the ends of documents; leave documents "joined"');
  }
  return problems;
}

function tooShort(source: TokenSource, length: number, documents: 'joined' | 'separate'): string {
  const longest = source.documents.reduce((most, document) => Math.max(most, document.length), 0);
  const [what, has] = documents === 'joined' ? ['the text', source.size] : ['the longest document', longest];
  const shorter = has > 1 ? `, or a length of at most ${has - 1}` : '';
  return `a window of length ${length} takes ${length + 1} ${source.unit}s, ${what} has ${has}: give more text${shorter}`;
}

/**
 * Batches of windows of a text, in tokens: bytes of a corpus, or ids of a token file. Windows begin `L` tokens apart,
 * so that every token but the first of a stretch is a target at most once an epoch. Window `w` of the endless
 * sequence of training is window `permutation(seed, e)(w mod n)` of the text, `e = ⌊w / n⌋` the epoch and `n` the
 * number of windows; batch `s` has the windows `B·s … B·s + B − 1`. In order `'streams'`, row `b` of batch `s` is
 * window `b·T + (s mod T)`, `T = n / B` the steps of an epoch. Everything follows from (seed, step): nothing has to
 * be saved to continue with the same batches, and no list of windows is kept.
 */
export class Batches {
  /** Number of windows of an epoch, `n`. */
  readonly windows: number;
  /** Tokens of the text that are in no window. */
  readonly unused: number;
  readonly batchSize: number;
  readonly length: number;
  readonly seed: number;
  readonly #source: TokenSource;
  readonly #stretches: readonly Stretch[];
  readonly #kind: 'shuffled' | 'sequential' | 'streams';
  /** The latest epoch and its order. */
  #epoch = -1;
  #order: (place: number) => number = (place) => place;

  /**
   * @throws OptionError naming at once every option that is wrong, and a text with less than one window, or less than
   * one for each stream.
   */
  constructor(source: TokenSource, options: BatchOptions) {
    checkValue('batches', 'source', source, someText);
    const problems = problemsOf(options);
    refuse('batches', problems);
    const { batchSize, length, seed = 0, order = 'shuffled', documents = 'joined' } = options;
    const stretches: Stretch[] = [];
    let before = 0;
    const parts = documents === 'separate' ? source.documents : [{ start: 0, length: source.size }];
    for (const part of parts) {
      const windows = Math.max(0, Math.floor((part.length - 1) / length));
      if (windows > 0) stretches.push({ start: part.start, windows, before });
      before += windows;
    }
    if (before === 0) refuse('batches', [tooShort(source, length, documents)]);
    if (order === 'streams' && before < batchSize) {
      const remedy = 'give more text, a smaller length or a smaller batchSize';
      const rule = `${batchSize} streams take a window of length ${length} each, the text has ${before}`;
      refuse('batches', [`${rule}: ${remedy}`]);
    }
    // streams have equally many
    const left = order === 'streams' ? before % batchSize : 0;
    this.windows = before - left;
    this.unused = source.size + left * length - stretches.reduce((used, { windows }) => used + windows * length + 1, 0);
    this.batchSize = batchSize;
    this.length = length;
    this.seed = seed;
    this.#source = source;
    this.#stretches = stretches;
    this.#kind = order;
  }

  /** How many epochs are complete, in part, when `step` begins. */
  epochAt(step: number): number {
    return this.#first(step) / this.windows;
  }

  /**
   * Whether the rows of `step` do not continue those of the step before: in streams, where an epoch begins; otherwise
   * always. A memory of what came before is to be dropped there.
   */
  startsAnew(step: number): boolean {
    return this.#first(step) % this.windows === 0 || this.#kind !== 'streams';
  }

  /**
   * The tokens of a batch, `[B, L + 1]` in row-major order: the first `L` of each row are inputs, the last `L` targets.
   *
   * @throws OptionError unless `step` is a whole number of at least 0, FormatError when a file has changed.
   */
  batch(step: number): Int32Array {
    return this.#rows(step, (start, out) => this.#source.read(start, out));
  }

  /**
   * The documents of the tokens of a batch, `[B, L + 1]`, as indices of the text's `documents`: what a mask of
   * documents takes.
   */
  documents(step: number): Int32Array {
    const { documents } = this.#source;
    return this.#rows(step, (start, out) => {
      let at = this.#source.documentAt(start);
      for (let filled = 0; filled < out.length; at++) {
        const end = Math.min(documents[at]!.start + documents[at]!.length - start, out.length);
        out.fill(at, filled, end);
        filled = end;
      }
    });
  }

  /** Where the windows of a batch begin in the text, in tokens. */
  starts(step: number): number[] {
    const first = this.#first(step);
    const steps = this.windows / this.batchSize;
    return Array.from({ length: this.batchSize }, (_, row) =>
      this.#kind === 'streams' ? (row * steps + (step % steps)) * this.length : this.#start(first + row),
    );
  }

  #rows(step: number, fill: (start: number, out: Int32Array) => void): Int32Array {
    const width = this.length + 1;
    const out = new Int32Array(this.batchSize * width);
    this.starts(step).forEach((start, row) => fill(start, out.subarray(row * width, (row + 1) * width)));
    return out;
  }

  #first(step: number): number {
    checkValue('batches', 'step', step, wholeFrom(0));
    const first = step * this.batchSize;
    if (Number.isSafeInteger(first + this.batchSize)) return first;
    throw new OptionError(`batches: step ${step} is beyond 2^53 windows.`);
  }

  #start(sample: number): number {
    const epoch = Math.floor(sample / this.windows);
    if (this.#kind === 'shuffled' && epoch !== this.#epoch) {
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
