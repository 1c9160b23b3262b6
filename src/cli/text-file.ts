import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { FailureError, type Io } from './io.js';

export interface TextFile {
  readonly name: string;
  /** The first bytes of the file, as many as were asked for or as there are. */
  readonly bytes: Uint8Array;
  /** Bytes of the whole file. */
  readonly size: number;
}

/**
 * The first `most` bytes of a UTF-8 text.
 *
 * @throws FailureError for a file that is missing, empty, no regular file, or not text.
 */
export function readText(who: string, path: string, most: number, io: Pick<Io, 'cwd'>): TextFile {
  const refuse = (why: string): FailureError => new FailureError(`${who}: "${path}" ${why}`);
  let file: number;
  try {
    file = openSync(resolve(io.cwd, path), 'r');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? String(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') throw refuse('does not exist; name a text file.');
    throw refuse(`cannot be read (${code === 'EACCES' ? 'permission denied' : code}).`);
  }
  try {
    const status = fstatSync(file);
    if (status.isDirectory()) throw refuse('is a folder; name a text file.');
    if (!status.isFile()) throw refuse('is not a regular file; name a text file.');
    if (status.size === 0) throw refuse('is empty; name a file with some text.');
    const bytes = new Uint8Array(Math.min(most, status.size));
    let filled = 0;
    while (filled < bytes.length) {
      const read = readSync(file, bytes, filled, bytes.length - filled, filled);
      if (read === 0) throw refuse('became shorter while it was read; try again.');
      filled += read;
    }
    const wrong = notText(bytes, bytes.length < status.size);
    if (wrong !== undefined) throw refuse(`is not UTF-8 text (${wrong}); name a text file.`);
    return { name: basename(path), bytes, size: status.size };
  } finally {
    closeSync(file);
  }
}

/** Why the bytes are no text; `cut` says that the last character may be incomplete. */
function notText(bytes: Uint8Array, cut: boolean): string | undefined {
  const zero = bytes.indexOf(0);
  if (zero >= 0) return `byte ${zero} is NUL`;
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes, { stream: cut });
    return undefined;
  } catch {
    return 'it has invalid bytes';
  }
}
