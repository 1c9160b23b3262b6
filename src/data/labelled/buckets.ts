import { permutation } from '../permutation.js';
import { lengthOf, type Examples } from './examples.js';

export interface BucketOptions {
  /** Examples of a batch, at most. */
  readonly batchSize: number;
  /** Lengths to which examples are padded, ascending, the last at least that of the longest; undefined: batches are of one length. */
  readonly lengths?: readonly number[] | undefined;
  /** Whether every epoch has an order of its own; default, by length as they are. */
  readonly shuffled?: { readonly seed: number } | undefined;
}

/** Rows of one batch: tokens `[rows, length]`, padded with 0 behind the real ones. */
export interface LabelledBatch {
  readonly inputs: {
    readonly tokens: { readonly data: Int32Array; readonly shape: readonly number[] };
    readonly targets: { readonly data: Int32Array; readonly shape: readonly number[] };
    readonly lengths?: readonly number[];
  };
  readonly counted: number;
}

/** Examples that are padded to one length. */
interface Bucket {
  readonly length: number;
  readonly places: readonly number[];
  /** Batches of the buckets before. */
  readonly before: number;
  readonly batches: number;
}

/**
 * Batches of examples of about one length. Each epoch shuffles the examples of a bucket, cuts them into batches, the last of which may be
 * smaller, and shuffles the batches of all buckets: batch s is number `s mod n` of epoch `⌊s / n⌋`. All follows from the seed and the step.
 */
export class LabelledBatches {
  readonly batchSize: number;
  /** Targets of a row. */
  readonly length = 1;
  /** Batches of an epoch. */
  readonly count: number;
  readonly #examples: Examples;
  readonly #options: BucketOptions;
  readonly #buckets: readonly Bucket[];

  constructor(examples: Examples, options: BucketOptions) {
    const { batchSize, lengths } = options;
    const groups = new Map<number, number[]>();
    for (let i = 0; i < examples.labels.length; i++) {
      const own = lengthOf(examples, i);
      const length = lengths === undefined ? own : lengths.find((one) => one >= own)!;
      const group = groups.get(length);
      if (group) group.push(i);
      else groups.set(length, [i]);
    }
    let before = 0;
    this.#buckets = [...groups]
      .sort(([a], [b]) => a - b)
      .map(([length, places]) => {
        const batches = Math.ceil(places.length / batchSize);
        const bucket = { length, places, before, batches };
        before += batches;
        return bucket;
      });
    this.count = before;
    this.batchSize = batchSize;
    this.#examples = examples;
    this.#options = options;
  }

  /** As many as there are, in batches: what is left out is none. */
  get windows(): number {
    return this.count * this.batchSize;
  }

  /** Examples of nothing go on with those before. */
  startsAnew(): boolean {
    return true;
  }

  batch(step: number): LabelledBatch {
    const { shuffled, batchSize, lengths } = this.#options;
    const epoch = Math.floor(step / this.count);
    const order = (of: string, n: number): ((place: number) => number) =>
      shuffled === undefined ? (place) => place : permutation(shuffled.seed, `data.labels.${epoch}.${of}`, n);
    const number = order('batches', this.count)(step % this.count);
    const at = this.#buckets.filter((one) => one.before <= number).length - 1;
    const { length, places, before } = this.#buckets[at]!;
    const place = order(`bucket.${at}`, places.length);
    const first = (number - before) * batchSize;
    const rows = Math.min(batchSize, places.length - first);
    const own = Array.from({ length: rows }, (_, row) => places[place(first + row)]!);
    const tokens = new Int32Array(rows * length);
    const { tokens: all, starts, labels } = this.#examples;
    own.forEach((index, row) => tokens.set(all.subarray(starts[index], starts[index + 1]), row * length));
    const real = own.map((index) => lengthOf(this.#examples, index));
    const padded = lengths !== undefined && real.some((one) => one < length);
    return {
      inputs: {
        tokens: { data: tokens, shape: [rows, length] },
        targets: { data: Int32Array.from(own, (index) => labels[index]!), shape: [rows] },
        ...(padded && { lengths: real }),
      },
      counted: rows,
    };
  }
}
