import {
  accessSync,
  closeSync,
  constants,
  openSync,
  renameSync,
  rmSync,
  statSync,
  type Stats,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { codeOf, reasonOf } from '../core/system-errors.js';
import { FailureError, type Io, UsageError } from './io.js';

/** Why a file cannot be written: what does not exist then is its folder. */
const reason = (error: unknown): string => (codeOf(error) === 'ENOENT' ? 'there is no such folder' : reasonOf(error));

/** Beside the target, so that the rename stays on one file system. */
const temporaryName = (path: string): string => join(dirname(path), `.${basename(path)}.${process.pid}.part`);

/** A file to be written later. Made before the long work, so that a path that cannot be written costs nothing. */
export class OutputFile {
  readonly path: string;
  readonly #io: Io;

  /** @throws UsageError for a path that is a folder; FailureError for one that cannot be written. */
  constructor(who: string, option: string, path: string, io: Io) {
    this.#io = io;
    this.path = resolve(io.cwd, path);
    if (statusOf(this.path)?.isDirectory()) {
      throw new UsageError(`${who}: --${option} must name a file; "${path}" is a folder.`);
    }
    try {
      if (statusOf(this.path)) accessSync(this.path, constants.W_OK);
      const probe = temporaryName(this.path);
      closeSync(openSync(probe, 'w'));
      rmSync(probe);
    } catch (error) {
      throw new FailureError(
        `${who}: --${option} cannot be written to "${path}" (${reason(error)}); name a file in a folder you may write.`,
      );
    }
  }

  /** All or nothing: the content goes to a temporary name that then replaces the file. */
  write(content: string | Uint8Array): void {
    const temporary = temporaryName(this.path);
    this.#io.uninterrupted(() => {
      try {
        writeFileSync(temporary, content);
        renameSync(temporary, this.path);
      } catch (error) {
        rmSync(temporary, { force: true });
        throw new FailureError(`cannot write "${this.path}" (${reason(error)}).`);
      }
    });
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
