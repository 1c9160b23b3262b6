import type { Corpus } from '../corpus.js';
import type { Document } from '../tokens.js';

/** Bytes read at once. */
export const CHUNK = 65_536;
/** Chunks without a place to cut, after which the text is cut anywhere. */
const MOST_CHUNKS = 4;

/**
 * The text of a document in pieces of about `chunk` bytes. A piece ends after a single line feed between visible
 * ASCII characters, else before a single space between them: the division of a text into words by GPT-2, and those
 * made after it, join nothing across such a place, so that the tokens are those of the whole text. Where neither comes
 * in four chunks, it ends after any character. Bytes that are no UTF-8 become U+FFFD.
 */
export function* textsOf(corpus: Corpus, { start, length }: Document, chunk = CHUNK): Generator<string, void> {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  const block = new Uint8Array(Math.min(chunk, length));
  let held = '';
  for (let at = 0; at < length; at += block.length) {
    const bytes = block.subarray(0, Math.min(block.length, length - at));
    corpus.read(start + at, bytes);
    held += decoder.decode(bytes, { stream: true });
    if (at + block.length >= length) break;
    const cut = lastCut(held, MOST_CHUNKS * chunk);
    if (cut > 0) yield held.slice(0, cut);
    held = held.slice(cut);
  }
  held += decoder.decode();
  if (held !== '') yield held;
}

const visible = (code: number): boolean => code > 0x20 && code < 0x7f;

function lastCut(text: string, most: number): number {
  let space = 0;
  for (let i = text.length - 2; i > 0; i--) {
    const code = text.charCodeAt(i);
    if (code !== 0x0a && (code !== 0x20 || space > 0)) continue;
    if (!visible(text.charCodeAt(i - 1)) || !visible(text.charCodeAt(i + 1))) continue;
    if (code === 0x0a) return i + 1;
    space = i;
  }
  // the decoder gives whole characters
  return space > 0 || text.length < most ? space : text.length;
}
