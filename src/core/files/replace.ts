import type { Stats } from 'node:fs';
import { codeOf } from '../system-errors.js';
import { again } from './again.js';
import { temporaries } from './temporaries.js';
import { requireNode } from '../node.js';

const { randomBytes } = requireNode('node:crypto');
const {
  chownSync,
  chmodSync,
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  openSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} = requireNode('node:fs');
const { basename, dirname, join, resolve } = requireNode('node:path');

/**
 * A file that is about to be replaced: its content is written to `part` and takes the place of what was there in one step, or not at
 * all. Links are followed; mode and owner stay. What is no regular file (a pipe, a terminal, `/dev/null`) is not replaced: there
 * `part` is the file itself.
 *
 * @throws what the system says where that cannot be.
 */
export class Replacement {
  readonly part: string;
  readonly #target: string;
  #forget: (() => void) | undefined;

  constructor(path: string) {
    const there = statSync(path, { throwIfNoEntry: false });
    this.#target = there === undefined || there.isFile() ? behindLinks(path) : path;
    this.part = this.#target;
    if (there !== undefined && !there.isFile()) return;
    this.part = join(dirname(this.#target), `.subquad-${randomBytes(6).toString('hex')}.part`);
    this.#forget = temporaries().hold(this.part, () => makeLike(this.part, this.#target, there));
  }

  /** Whether it is written beside the target. */
  get isFile(): boolean {
    return this.#forget !== undefined;
  }

  commit(): void {
    if (this.#forget === undefined) return;
    renameSync(this.part, this.#target);
    this.#forget();
  }

  discard(): void {
    if (this.#forget === undefined) return;
    try {
      rmSync(this.part, { force: true });
    } catch {
      // why it is discarded says more
    }
    this.#forget();
  }
}

/** Replaces a file, or writes into what is none. @throws what the system says; then what was there is as it was. */
export function replaceFile(path: string, content: string | Uint8Array): void {
  const bytes = typeof content === 'string' ? Buffer.from(content) : content;
  const stream = streamOf(path);
  if (stream !== undefined) return writeAll(stream, bytes);
  const file = new Replacement(path);
  try {
    write(file.part, bytes);
    file.commit();
  } catch (error) {
    file.discard();
    throw error;
  }
}

/** Which of the process's own streams already writes to this regular file: another handle would write over what it wrote. */
function streamOf(path: string): number | undefined {
  const there = statSync(path, { throwIfNoEntry: false });
  if (there?.isFile() !== true) return undefined;
  return [1, 2].find((handle) => {
    const { dev, ino } = fstatSync(handle);
    return dev === there.dev && ino === there.ino;
  });
}

/** An empty file beside the target, as accessible as that and never more. */
function makeLike(part: string, target: string, there: Stats | undefined): void {
  if (there === undefined) return closeSync(openSync(part, 'wx'));
  // a file that may not be written is not replaced either
  closeSync(openSync(target, 'r+'));
  closeSync(openSync(part, 'wx', 0o600));
  try {
    const { uid, gid } = statSync(part);
    if (uid !== there.uid || gid !== there.gid) chownSync(part, there.uid, there.gid);
  } catch {
    // only the administrator gives files away
  }
  chmodSync(part, there.mode & 0o7777);
}

/** The path that links lead to, whether it is there or not. */
function behindLinks(path: string): string {
  const real = join(realpathSync(dirname(path)), basename(path));
  let link: string;
  try {
    link = readlinkSync(real);
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'EINVAL') return real;
    throw error;
  }
  return behindLinks(resolve(dirname(real), link));
}

function write(path: string, bytes: Uint8Array): void {
  // until somebody reads a pipe there is no such device; a thread that waited in the system for that could not be ended
  const notYet = statSync(path).isFIFO() ? ['ENXIO'] : [];
  const handle = again(() => openSync(path, constants.O_WRONLY | (constants.O_NONBLOCK ?? 0)), notYet);
  try {
    writeAll(handle, bytes);
    if (fstatSync(handle).isFile()) fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

function writeAll(handle: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length;) done += again(() => writeSync(handle, bytes, done));
}
