import { FormatError } from '../../core/errors.js';
import { callable, checkValue, checkValues, having, text, wholeBetween } from '../../core/requirements.js';
import { Replacement } from '../../core/files/replace.js';
import { makeFolders } from '../../core/folders.js';
import { requireNode } from '../../core/node.js';
import { codeOf, reasonOf } from '../../core/system-errors.js';
import { someCorpus, type Corpus } from '../corpus.js';
import type { Document } from '../tokens.js';
import { CHUNK, textsOf } from './texts.js';
import { formatDescription, TokenFile, widthOf } from './token-file.js';
import type { Tokeniser } from './tokeniser.js';

const { createHash } = requireNode('node:crypto');
const { closeSync, existsSync, fsyncSync, openSync, writeSync } = requireNode('node:fs');
const { dirname } = requireNode('node:path');

export interface TokeniseOptions {
  /** Bytes tokenised at once; default 65536. */
  readonly chunk?: number;
  /** Called now and then with the number of tokens so far and the part of the text that is done, 0 to 1. */
  readonly progress?: (tokens: number, part: number) => void;
}

/**
 * The tokens of a text, in a file: made once, in memory that does not depend on the size of the text, and taken as it
 * is as long as the text (paths, sizes, times of change) and the tokeniser are the same. The file appears whole or
 * not at all. Documents are tokenised apart. With byte-level BPE of GPT-2's words the tokens are those of the whole
 * document; a tokeniser that puts something in front of every text does so about every `chunk` bytes. A text that is
 * split is split first: tokenise each part.
 *
 * @throws FormatError when a file of the text has changed, when `path` is another kind of file, which is left alone,
 * or when it cannot be written; OptionError for a chunk out of range.
 */
export function tokeniseCorpus(
  corpus: Corpus,
  tokeniser: Tokeniser,
  path: string,
  options: TokeniseOptions = {},
): TokenFile {
  const who = 'tokeniseCorpus';
  checkValue(who, 'corpus', corpus, someCorpus);
  checkValue(who, 'tokeniser', tokeniser, having('a tokeniser', 'encode', 'decode'));
  checkValue(who, 'path', path, text);
  checkValues(who, options, { chunk: wholeBetween(4, 2 ** 26, '2^26'), progress: callable });
  const { chunk = CHUNK, progress } = options;
  const key = createHash('sha256').update(`${corpus.identity} ${tokeniser.fingerprint} ${chunk}`).digest('hex');
  if (existsSync(path)) {
    const there = new TokenFile(path);
    if (there.key === key) return there;
  }
  let file: Replacement | undefined;
  try {
    makeFolders(dirname(path));
    file = new Replacement(path);
    write(file.part, corpus, tokeniser, key, chunk, progress);
    file.commit();
  } catch (error) {
    file?.discard();
    if (codeOf(error) === '') throw error;
    throw new FormatError(`${who}: "${path}" cannot be written (${reasonOf(error)}); name a place that can.`, {
      cause: error,
    });
  }
  return new TokenFile(path);
}

function write(
  part: string,
  corpus: Corpus,
  tokeniser: Tokeniser,
  key: string,
  chunk: number,
  progress: TokeniseOptions['progress'],
): void {
  const handle = openSync(part, 'w');
  try {
    const { vocabulary } = tokeniser;
    const narrow = widthOf(vocabulary) === 2;
    const documents: Document[] = [];
    let size = 0;
    let bytes = 0;
    for (const document of corpus.documents) {
      const start = size;
      for (const text of textsOf(corpus, document, chunk)) {
        const ids = tokeniser.encode(text);
        writeAll(handle, narrow ? Uint16Array.from(ids) : ids);
        size += ids.length;
        bytes += Buffer.byteLength(text);
        progress?.(size, Math.min(1, bytes / corpus.size));
      }
      documents.push({ path: document.path, start, length: size - start });
    }
    writeAll(handle, formatDescription({ key, vocabulary, size, bytes: corpus.size, documents }));
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

function writeAll(handle: number, { buffer, byteOffset, byteLength }: ArrayBufferView): void {
  const bytes = new Uint8Array(buffer, byteOffset, byteLength);
  for (let done = 0; done < bytes.length;) done += writeSync(handle, bytes, done);
}
