/** A file, or the part of it that a slice holds. */
export interface Document {
  readonly path: string;
  /** Where it begins in the corpus, in bytes. */
  readonly start: number;
  readonly length: number;
}

/**
 * A text as a sequence of tokens that can be read at any place: the bytes of a `Corpus`, or the ids of a `TokenFile`.
 */
export interface TokenSource {
  /** Number of tokens. */
  readonly size: number;
  /** Tokens are `0 … vocabulary − 1`. */
  readonly vocabulary: number;
  /** What a token is called. */
  readonly unit: 'byte' | 'token';
  /** Mean number of bytes of a token: bits per byte are bits per token divided by it. */
  readonly bytesPerToken: number;
  /** In the order of their tokens; `start` and `length` are in tokens. */
  readonly documents: readonly Document[];
  /** The document that a token belongs to, as an index of `documents`. */
  documentAt(position: number): number;
  /** Fills `into` with the tokens from `position` on, over the ends of documents. */
  read(position: number, into: Int32Array): void;
}

/** The last document that begins at or before a position within the text. */
export function documentAt(documents: readonly Document[], position: number): number {
  let [low, high] = [0, documents.length - 1];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (documents[middle]!.start <= position) low = middle;
    else high = middle - 1;
  }
  return low;
}
