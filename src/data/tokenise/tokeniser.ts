import { checkValue, listOfNumbers, type Requirement } from '../../core/requirements.js';
import { ByteDecoder } from '../byte-decoder.js';
import { VOCABULARY } from '../corpus.js';

/** Text that is safe to show in a terminal, piece by piece as its tokens are generated. */
export interface TextStream {
  /** The text that is complete with these tokens. */
  push(ids: ArrayLike<number>): string;
  /** What was kept back; after it, a new text begins. */
  end(): string;
}

/** Text as numbers `0 … vocabulary − 1`, and back. */
export interface Tokeniser {
  readonly name: string;
  readonly vocabulary: number;
  /** SHA-256 of what decides the encoding: tokenisers with the same one encode alike. */
  readonly fingerprint: string;
  /** Any bytes are accepted; each tokeniser documents how it treats invalid UTF-8. */
  encode(text: string | Uint8Array): Int32Array;
  decode(ids: ArrayLike<number>): string;
  decoder(): TextStream;
  /** The same with the special tokens that its template puts around a text, or around two; absent where it has none. */
  marked?(text: string, pair?: string): MarkedText;
  /** The number of a token by what it is written as, such as `[MASK]`. */
  idOf?(token: string): number | undefined;
}

/** A text between special tokens. */
export interface MarkedText {
  readonly ids: Int32Array;
  /** 0 for tokens of the first text, 1 for those of the second. */
  readonly types: Int32Array;
}

const textOrBytes: Requirement = {
  must: 'a text or a Uint8Array',
  holds: (value) => typeof value === 'string' || value instanceof Uint8Array,
};

/**
 * A token is a byte of the text in UTF-8. Bytes that are no UTF-8 stay what they are: they come back as they were from
 * `Uint8Array.from(ids)`; only `decode`, which makes text of them, shows `�`.
 */
export const byteTokeniser: Tokeniser = {
  name: 'bytes',
  vocabulary: VOCABULARY,
  // of the text "bytes"
  fingerprint: '277089d91c0bdf4f2e6862ba7e4a07605119431f5d13f726dd352b06f1b206a9',
  encode: (text) => {
    checkValue('byteTokeniser', 'text', text, textOrBytes);
    return Int32Array.from(typeof text === 'string' ? new TextEncoder().encode(text) : text);
  },
  decode: (ids) => {
    checkValue('byteTokeniser', 'ids', ids, listOfNumbers);
    return new TextDecoder('utf-8', { ignoreBOM: true }).decode(Uint8Array.from(ids));
  },
  decoder: () => new ByteDecoder(),
};
