import { statSync, type Stats } from 'node:fs';
import { resolve } from 'node:path';
import { Replacement, replaceFile } from '../core/files/replace.js';
import { codeOf, reasonOf } from '../core/system-errors.js';
import { FailureError, type Io, UsageError } from './io.js';

/** Why a file cannot be written: what does not exist then is its folder. */
const reason = (error: unknown): string => (codeOf(error) === 'ENOENT' ? 'there is no such folder' : reasonOf(error));

/** A file to be written later. Made before the long work, so that a path that cannot be written costs nothing. */
export class OutputFile {
  readonly path: string;

  /** @throws UsageError for a path that is a folder; FailureError for one that cannot be written. */
  constructor(who: string, option: string, path: string, io: Pick<Io, 'cwd'>) {
    this.path = resolve(io.cwd, path);
    if (statusOf(this.path)?.isDirectory()) {
      throw new UsageError(`${who}: --${option} must name a file; "${path}" is a folder.`);
    }
    try {
      new Replacement(this.path).discard();
    } catch (error) {
      throw new FailureError(
        `${who}: --${option} cannot be written to "${path}" (${reason(error)}); name a file in a folder you may write.`,
      );
    }
  }

  /** All or nothing, as `replaceFile` does it. */
  write(content: string | Uint8Array): void {
    try {
      replaceFile(this.path, content);
    } catch (error) {
      throw new FailureError(`cannot write "${this.path}" (${reason(error)}).`);
    }
  }
}

function statusOf(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch {
    // what is wrong with the path, writing will tell
    return undefined;
  }
}
