import { createHash } from 'node:crypto';
import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename } from 'node:path';
import { isOpen, isOwn } from './cache.js';

export const SEAL = '.seal';
const LONGEST_SEAL = 100;

/** Moves a compiled object to its place, once the disk has it, with its seal. */
export function publish(temporary: string, path: string): string {
  const file = openSync(temporary, 'r+');
  try {
    fchmodSync(file, 0o600);
    fsyncSync(file);
    writeFileSync(temporary + SEAL, sealOf(path, readFileSync(file)), { mode: 0o600 });
  } finally {
    closeSync(file);
  }
  try {
    renameSync(temporary, path);
    renameSync(temporary + SEAL, path + SEAL);
  } catch (error) {
    rmSync(temporary + SEAL, { force: true });
    // Windows refuses to replace an object that another process has loaded; it is the same object
    if (!isSealed(path)) throw error;
  }
  return path;
}

/** Length, and SHA-256 of name and bytes: an object under the name of another would be another kernel. */
const sealOf = (path: string, bytes: Uint8Array): string =>
  `${bytes.length} ${createHash('sha256').update(basename(path)).update('\0').update(bytes).digest('hex')}\n`;

/** Whether an object is there, as it was compiled by this user. */
export function isSealed(path: string): boolean {
  const seal = ownBytes(path + SEAL, LONGEST_SEAL)?.toString();
  if (seal === undefined) return false;
  const bytes = ownBytes(path, Number.parseInt(seal, 10));
  return bytes !== undefined && sealOf(path, bytes) === seal;
}

/** What a regular file of this user alone holds, if it is not longer than `most`. */
function ownBytes(path: string, most: number): Buffer | undefined {
  let file: number | undefined;
  try {
    // Windows has neither flag; a pipe without a writer would block
    file = openSync(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0));
    const status = fstatSync(file);
    const trusted = status.isFile() && isOwn(status) && !isOpen(status) && status.size <= most;
    return trusted ? readFileSync(file) : undefined;
  } catch {
    return undefined;
  } finally {
    if (file !== undefined) closeSync(file);
  }
}
