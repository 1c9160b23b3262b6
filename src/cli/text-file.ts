import { basename, resolve } from 'node:path';
import { readStart, STDIN } from '../core/files/read.js';
import { codeOf, reasonOf } from '../core/system-errors.js';
import { FailureError, type Io } from './io.js';

export interface TextFile {
  readonly name: string;
  /** The first bytes of the file, as many as were asked for or as there are. */
  readonly bytes: Uint8Array;
  /** Bytes of the whole file; of a stream, those that were read. */
  readonly size: number;
}

/** Where a text is that the command line names: `-` is the standard input. */
export const textPath = (path: string, { cwd }: Pick<Io, 'cwd'>): string => (path === '-' ? STDIN : resolve(cwd, path));

/**
 * The first `most` bytes of a UTF-8 text.
 *
 * @throws FailureError for a file that is missing, empty, a folder or device, or not text.
 */
export function readText(who: string, path: string, most: number, io: Pick<Io, 'cwd'>): TextFile {
  const refuse = (why: string): FailureError => new FailureError(`${who}: "${path}" ${why}`);
  const place = textPath(path, io);
  try {
    const { bytes, size } = readStart(place, most);
    if (size === 0) throw refuse('is empty; name a file with some text.');
    const wrong = notText(bytes, bytes.length < size || bytes.length === most);
    if (wrong !== undefined) throw refuse(`is not UTF-8 text (${wrong}); name a text file.`);
    return { name: place === STDIN ? 'standard input' : basename(path), bytes, size };
  } catch (error) {
    if (error instanceof FailureError) throw error;
    if (['ENOENT', 'ENOTDIR'].includes(codeOf(error))) throw refuse('does not exist; name a text file.');
    throw refuse(`cannot be read (${reasonOf(error)}); name a text file.`);
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
