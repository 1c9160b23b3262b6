import { describe } from '../core/describe.js';
import { FormatError, OptionError } from '../core/errors.js';
import { isStream, readWhole } from '../core/files/read.js';
import { requireNode } from '../core/node.js';
import { checkValue, checkValues, listOfTexts, made, wholeFrom, type Requirement } from '../core/requirements.js';
import { reasonOf } from '../core/system-errors.js';
import { BlockReader, type SourceFile } from './blocks.js';
import { type Document, documentAt, type TokenSource } from './tokens.js';

const { createHash } = requireNode('node:crypto');
const { closeSync, openSync, statSync } = requireNode('node:fs');
const { resolve } = requireNode('node:path');

export interface CorpusOptions {
  /** Bytes read at once; default 65536. */
  readonly blockSize?: number;
  /** Blocks kept; default 64. */
  readonly blocks?: number;
}

interface Part extends Document {
  readonly file: SourceFile;
  /** Where the part begins in its file. */
  readonly offset: number;
}

/** The number of different tokens: a token is a byte. */
export const VOCABULARY = 256;

/**
 * The bytes of some files, one after the other, as one text. Bytes are read when they are asked for; whatever the
 * size of the files, memory holds `blocks × blockSize` bytes. Bytes are tokens: text that is not valid UTF-8 is read
 * like any other.
 */
export class Corpus implements TokenSource {
  /** In the order of their bytes. */
  readonly documents: readonly Document[];
  /** Number of bytes. */
  readonly size: number;
  readonly vocabulary = VOCABULARY;
  readonly unit = 'byte';
  readonly bytesPerToken = 1;
  readonly #parts: readonly Part[];
  readonly #reader: BlockReader;

  /** Use `openCorpus`. @internal */
  constructor(parts: readonly Part[], reader: BlockReader) {
    this.#parts = parts;
    this.#reader = reader;
    this.documents = parts.map(({ path, start, length }) => ({ path, start, length }));
    const last = parts.at(-1);
    this.size = last === undefined ? 0 : last.start + last.length;
  }

  /**
   * A name for this text, SHA-256 of the paths, sizes and times of change of its files and of what is taken of each:
   * another text has another.
   */
  get identity(): string {
    const parts = this.#parts.map(({ file, offset, length }) => [file.path, file.size, file.modified, offset, length]);
    return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
  }

  /** The document that byte `position` belongs to, as an index of `documents`. */
  documentAt(position: number): number {
    checkValue('corpus.documentAt', 'position', position, wholeFrom(0));
    this.#check('documentAt', position, position + 1);
    return documentAt(this.#parts, position);
  }

  /**
   * Fills `into` with the bytes from `position` on, one an element, over the ends of documents.
   *
   * @throws OptionError for bytes that the corpus does not have, FormatError when a file has changed since it was
   * opened.
   */
  read(position: number, into: Uint8Array | Int32Array): void {
    checkValue('corpus.read', 'position', position, wholeFrom(0));
    checkValue('corpus.read', 'into', into, bytesOrTokens);
    this.#check('read', position, position + into.length);
    if (into.length === 0) return;
    let filled = 0;
    for (let at = this.documentAt(position); filled < into.length; at++) {
      const { file, offset, start, length } = this.#parts[at]!;
      const from = position + filled - start;
      const taken = Math.min(length - from, into.length - filled);
      this.#reader.read(file, offset + from, into.subarray(filled, filled + taken));
      filled += taken;
    }
  }

  /** The bytes `begin … end − 1` as a corpus that shares the cache; documents are cut where it begins and ends. */
  slice(begin: number, end: number): Corpus {
    this.#check('slice', begin, end);
    const parts = this.#parts
      .filter(({ start, length }) => start < end && start + length > begin)
      .map(({ path, file, offset, start, length }): Part => {
        const from = Math.max(begin - start, 0);
        const to = Math.min(end - start, length);
        return { path, file, offset: offset + from, start: start + from - begin, length: to - from };
      });
    return new Corpus(parts, this.#reader);
  }

  #check(who: string, begin: number, end: number): void {
    if (Number.isSafeInteger(begin) && Number.isSafeInteger(end) && begin >= 0 && begin <= end && end <= this.size)
      return;
    throw new OptionError(
      `corpus.${who}: bytes ${describe(begin)} to ${describe(end)} are not within 0 to ${this.size}.`,
    );
  }
}

export const someCorpus = made('a corpus, as openCorpus opens', Corpus);
const bytesOrTokens: Requirement = {
  must: 'a Uint8Array or an Int32Array',
  holds: (value) => value instanceof Uint8Array || value instanceof Int32Array,
};

/**
 * Opens files as one text, in the order given; each is a document. A pipe, and `/dev/stdin`, are read to their end, up to 2²⁸ bytes.
 *
 * @throws FormatError naming every path that is missing, unreadable, no regular file, or empty; OptionError for no
 * paths at all or options out of range.
 */
export function openCorpus(paths: readonly string[], options: CorpusOptions = {}): Corpus {
  const who = 'openCorpus';
  checkValue(who, 'paths', paths, listOfTexts);
  checkValues(who, options, { blockSize: wholeFrom(1), blocks: wholeFrom(1) });
  const { blockSize = 65_536, blocks = 64 } = options;
  if (paths.length === 0) throw new OptionError(`${who}: no files; name at least one text file.`);
  const parts: Part[] = [];
  const problems: string[] = [];
  let start = 0;
  for (const path of paths) {
    const found = inspect(path);
    if (typeof found === 'string') {
      problems.push(`"${path}" ${found}`);
      continue;
    }
    parts.push({ path, file: found, offset: 0, start, length: found.size });
    start += found.size;
  }
  if (problems.length > 0) {
    const remedy = 'name readable files with some text';
    throw new FormatError(
      `${who}: ${problems.length} of ${paths.length} paths cannot be read: ${problems.join('; ')}; ${remedy}.`,
    );
  }
  return new Corpus(parts, new BlockReader(blockSize, blocks));
}

/** Bytes of a stream, which memory has to hold. */
const LONGEST_STREAM = 2 ** 28;

function streamed(path: string): SourceFile | string {
  const bytes = readWhole(path, LONGEST_STREAM);
  if (bytes.length === 0) return 'is empty';
  // in place of a time of change, a number that other bytes have not
  const modified = createHash('sha256').update(bytes).digest().readUIntBE(0, 6);
  return { path, size: bytes.length, modified, bytes };
}

/** The file at a path, or what is wrong with it. */
function inspect(path: string): SourceFile | string {
  try {
    if (isStream(path)) return streamed(path);
    // before it is opened: opening a device may do something
    const status = statSync(path);
    if (status.isDirectory()) return 'is a folder';
    if (!status.isFile()) return 'is not a regular file';
    if (status.size === 0) return 'is empty';
    closeSync(openSync(path, 'r'));
    return { path: resolve(path), size: status.size, modified: status.mtimeMs };
  } catch (error) {
    return `cannot be opened (${reasonOf(error)})`;
  }
}
