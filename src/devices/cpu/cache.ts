import { randomBytes } from 'node:crypto';
import { accessSync, constants, lstatSync, mkdirSync, readdirSync, rmSync, type Stats } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { temporaries } from '../../core/files/temporaries.js';
import { makeFolders, userCacheFolder } from '../../core/folders.js';
import { codeOf } from '../../core/system-errors.js';

/** Where compiled kernels are kept. */
export interface CodeCache {
  readonly folder: string;
  /** Why the folder is not the usual one, if it is not. */
  readonly reasons: readonly string[];
}

export { userCacheFolder };

/**
 * Opens the cache folder, creating it for this user alone. Code from it is executed, so a folder that somebody else
 * owns or may write to is not used; then, and when the folder cannot be written, a private one takes its place, which
 * is removed when the process ends.
 */
export function openCache(given?: string): CodeCache {
  removeAbandoned();
  const [folder, refusal] = prepare(given);
  if (refusal === undefined) return { folder, reasons: [] };
  const reason = `Compiled kernels are kept for this process only, because the cache folder ${folder} ${refusal}`;
  return { folder: privateFolder(), reasons: [reason] };
}

/** Creates and checks the folder; returns it, with what is wrong with it as the end of a sentence. */
function prepare(given: string | undefined): [folder: string, refusal: string | undefined] {
  let folder = given ?? 'of this user';
  try {
    folder = resolve(given ?? userCacheFolder());
    makeFolders(folder, 0o700);
    return [folder, refusalOf(folder, lstatSync(folder))];
  } catch (error) {
    return [folder, `cannot be created (${codeOf(error) || String(error)}); name another with cacheFolder.`];
  }
}

function refusalOf(folder: string, status: Stats): string | undefined {
  if (!status.isDirectory()) return 'is not a directory; move it away, or name another with cacheFolder.';
  if (!isOwn(status)) return `belongs to another user (uid ${status.uid}); name another with cacheFolder.`;
  if (isOpen(status)) {
    // not to be mended by chmod: what was put there stays
    return 'may be written by other users, and what they put there would be run; delete it, or name another with cacheFolder.';
  }
  try {
    accessSync(folder, constants.W_OK | constants.X_OK);
  } catch {
    return 'is read-only; make it writable, or name another with cacheFolder.';
  }
  return undefined;
}

/** Whether this user owns it. Windows has no owner and mode in this sense; %LOCALAPPDATA% belongs to the user. */
export const isOwn = (status: Stats): boolean => !process.getuid || status.uid === process.getuid();

/** Whether other users may write to it. */
export const isOpen = (status: Stats): boolean => process.getuid !== undefined && (status.mode & 0o022) !== 0;

const PRIVATE = 'subquad-kernels-';
let shared: string | undefined;

/** One folder for this thread, mode 0700, gone at exit. Its name tells the process, for when that is killed. */
function privateFolder(): string {
  if (shared !== undefined) return shared;
  const folder = join(tmpdir(), `${PRIVATE}${process.pid}-${randomBytes(6).toString('hex')}`);
  temporaries().hold(folder, () => mkdirSync(folder, 0o700));
  shared = folder;
  return folder;
}

/** Removes this user's private folders of processes that are over: of those that were killed. */
function removeAbandoned(): void {
  try {
    for (const name of readdirSync(tmpdir())) {
      if (!name.startsWith(PRIVATE) || !isOver(Number.parseInt(name.slice(PRIVATE.length), 10))) continue;
      const folder = join(tmpdir(), name);
      if (isOwn(lstatSync(folder))) rmSync(folder, { recursive: true, force: true });
    }
  } catch {
    // somebody else was quicker, or there is no folder for temporary files: nothing to tidy
  }
}

function isOver(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return codeOf(error) === 'ESRCH';
  }
}
