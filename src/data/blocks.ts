import { FormatError } from '../core/errors.js';
import { requireNode } from '../core/node.js';
import { reasonOf } from '../core/system-errors.js';

const { closeSync, fstatSync, openSync, readSync } = requireNode('node:fs');

/** A file as it was when the corpus was opened. */
export interface SourceFile {
  readonly path: string;
  readonly size: number;
  /** When it was last changed, in milliseconds. */
  readonly modified: number;
  /** All of them, of what can be read once only. */
  readonly bytes?: Uint8Array;
}

/**
 * Reads files at any place through a cache of a few blocks, the least recently used of which makes room. No file stays open.
 *
 * @throws FormatError when a file has changed since, or can no longer be read.
 */
export class BlockReader {
  readonly #blockSize: number;
  readonly #most: number;
  /** In the order of their last use. */
  readonly #blocks = new Map<string, Uint8Array>();

  constructor(blockSize: number, most: number) {
    this.#blockSize = blockSize;
    this.#most = most;
  }

  /** Fills `into` with the bytes of `file` from `position` on, one an element. */
  read(file: SourceFile, position: number, into: Uint8Array | Int32Array): void {
    if (file.bytes !== undefined) return into.set(file.bytes.subarray(position, position + into.length));
    let filled = 0;
    while (filled < into.length) {
      const index = Math.floor((position + filled) / this.#blockSize);
      const from = position + filled - index * this.#blockSize;
      const length = Math.min(into.length - filled, this.#blockSize - from);
      into.set(this.#block(file, index).subarray(from, from + length), filled);
      filled += length;
    }
  }

  #block(file: SourceFile, index: number): Uint8Array {
    const name = `${index}:${file.path}`;
    let block = this.#blocks.get(name);
    if (block === undefined) {
      block = this.#vacant();
      load(file, index * this.#blockSize, block);
    } else {
      this.#blocks.delete(name);
    }
    this.#blocks.set(name, block);
    return block;
  }

  /** New memory until there are enough blocks, then the memory of the oldest. */
  #vacant(): Uint8Array {
    const oldest = this.#blocks.entries().next();
    if (this.#blocks.size < this.#most || oldest.done) return new Uint8Array(this.#blockSize);
    this.#blocks.delete(oldest.value[0]);
    return oldest.value[1];
  }
}

function load(file: SourceFile, position: number, block: Uint8Array): void {
  const changed = (how: string): FormatError =>
    new FormatError(`corpus: "${file.path}" ${how} since it was opened; start again with the text as it is now.`);
  let handle: number;
  try {
    handle = openSync(file.path, 'r');
  } catch (error) {
    throw changed(`can no longer be read (${reasonOf(error)})`);
  }
  try {
    const { size, mtimeMs } = fstatSync(handle);
    if (size !== file.size || mtimeMs !== file.modified) throw changed('was changed');
    const length = Math.min(block.length, size - position);
    for (let filled = 0; filled < length;) {
      const read = readSync(handle, block, filled, length - filled, position + filled);
      if (read === 0) throw changed('became shorter');
      filled += read;
    }
  } finally {
    closeSync(handle);
  }
}
