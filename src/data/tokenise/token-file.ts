import { FormatError, OptionError } from '../../core/errors.js';
import { checkValue, text, wholeFrom, type Requirement } from '../../core/requirements.js';
import { openRegular } from '../../core/files/read.js';
import { parseJson } from '../../core/json.js';
import { requireNode } from '../../core/node.js';
import { reasonOf } from '../../core/system-errors.js';
import { BlockReader, type SourceFile } from '../blocks.js';
import { type Document, documentAt, type TokenSource } from '../tokens.js';

const { closeSync, fstatSync, readSync } = requireNode('node:fs');
const { resolve } = requireNode('node:path');

const WHO = 'tokenFile';
const MAGIC = 'subquad tokens 1';
const LENGTH = 8;
/** Of the end of the file: the length of the description in bytes, then the magic. */
const END = LENGTH + MAGIC.length;
const BLOCK = 65_536;
const BLOCKS = 64;

const tokens: Requirement = { must: 'an Int32Array', holds: (value) => value instanceof Int32Array };

/** What stands at the end of a token file, as JSON, after the ids. */
export interface Description {
  /** Of what text and tokeniser these are the tokens. */
  readonly key: string;
  readonly vocabulary: number;
  readonly size: number;
  /** Bytes of the text. */
  readonly bytes: number;
  readonly documents: readonly Document[];
}

/** Bytes of an id in the file. */
export const widthOf = (vocabulary: number): 2 | 4 => (vocabulary <= 65_536 ? 2 : 4);

/** What follows the ids. */
export function formatDescription(description: Description): Uint8Array {
  const json = Buffer.from(JSON.stringify(description));
  const length = Buffer.alloc(LENGTH);
  length.writeBigUInt64LE(BigInt(json.length));
  return Buffer.concat([json, length, Buffer.from(MAGIC)]);
}

/** The tokens of a text in a file: 16-bit or 32-bit numbers, little-endian, read when they are asked for. */
export class TokenFile implements TokenSource {
  readonly size: number;
  readonly vocabulary: number;
  readonly unit = 'token';
  readonly bytesPerToken: number;
  /** `start` and `length` are in tokens. */
  readonly documents: readonly Document[];
  /** Of what text and tokeniser these are the tokens. */
  readonly key: string;
  /** Bytes of the text. */
  readonly bytes: number;
  readonly #file: SourceFile;
  readonly #reader = new BlockReader(BLOCK, BLOCKS);

  /** @throws FormatError for a file that cannot be read or is no token file. */
  constructor(path: string) {
    checkValue(WHO, 'path', path, text);
    const { file, description } = describe(path);
    this.size = description.size;
    this.vocabulary = description.vocabulary;
    this.documents = description.documents;
    this.key = description.key;
    this.bytes = description.bytes;
    this.bytesPerToken = description.bytes / description.size;
    this.#file = file;
  }

  documentAt(position: number): number {
    checkValue(WHO, 'position', position, wholeFrom(0));
    this.#check(position, position + 1);
    return documentAt(this.documents, position);
  }

  /**
   * @throws OptionError for tokens that the file does not have, FormatError when it has changed since it was opened.
   */
  read(position: number, into: Int32Array): void {
    checkValue(WHO, 'position', position, wholeFrom(0));
    checkValue(WHO, 'into', into, tokens);
    this.#check(position, position + into.length);
    const width = widthOf(this.vocabulary);
    const bytes = new Uint8Array(into.length * width);
    this.#reader.read(this.#file, position * width, bytes);
    into.set(width === 2 ? new Uint16Array(bytes.buffer) : new Int32Array(bytes.buffer));
  }

  #check(begin: number, end: number): void {
    if (Number.isSafeInteger(begin) && Number.isSafeInteger(end) && begin >= 0 && end <= this.size) return;
    throw new OptionError(`${WHO}: tokens ${begin} to ${end} are not within 0 to ${this.size}.`);
  }
}

function describe(path: string): { readonly file: SourceFile; readonly description: Description } {
  const wrong = (why: string): FormatError =>
    new FormatError(`${WHO}: "${path}" ${why}; make it again from the text, where no other file is.`);
  let handle: number;
  try {
    handle = openRegular(path);
  } catch (error) {
    throw wrong(`cannot be read (${reasonOf(error)})`);
  }
  try {
    const { size, mtimeMs } = fstatSync(handle);
    const tail = (length: number, before: number): Buffer => {
      const bytes = Buffer.alloc(length);
      if (readSync(handle, bytes, 0, length, size - before - length) !== length) throw wrong('is cut short');
      return bytes;
    };
    if (size < END) throw wrong('is no token file');
    const end = tail(END, 0);
    if (end.toString('latin1', LENGTH) !== MAGIC) throw wrong('is no token file, or is cut short');
    const length = Number(end.readBigUInt64LE());
    if (length > size - END) throw wrong('has a description longer than itself');
    let description: Description;
    try {
      description = { ...(parseJson(tail(length, END).toString()) as Description) };
    } catch {
      throw wrong('has a description that is no JSON');
    }
    if (description.size * widthOf(description.vocabulary) + length + END !== size)
      throw wrong('has another size than it says');
    return { file: { path: resolve(path), size, modified: mtimeMs }, description };
  } finally {
    closeSync(handle);
  }
}
