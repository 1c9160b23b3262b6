import type { Stats } from 'node:fs';
import { FormatError } from '../errors.js';
import { codeOf } from '../system-errors.js';
import { again, pause } from './again.js';
import { requireNode } from '../node.js';

const { closeSync, constants, fstatSync, openSync, readSync, statSync } = requireNode('node:fs');

/** What stands for the standard input; its bytes can be read once. */
export const STDIN = '/dev/stdin';

/** Bytes of a block that is read at once. */
const BLOCK = 65_536;
/** Milliseconds for somebody to write to a pipe that has no writer yet. */
const GRACE = 1000;

export interface Start {
  readonly bytes: Uint8Array;
  /** Bytes of the whole file; of a stream, of which more is not known, those that were read. */
  readonly size: number;
}

/** Whether bytes come from a file, any of them at any time, or in order and once: from the standard input or a pipe. */
export const isStream = (path: string): boolean => path === STDIN || statSync(path).isFIFO();

/**
 * The first bytes of a file, at most `most`. The standard input and pipes are read until they end or `most` is reached.
 *
 * @throws FormatError, or what the system says, for what is missing, a folder, a device, or a pipe that nobody writes to: in every
 * case `reasonOf` has the words.
 */
export function readStart(path: string, most: number): Start {
  const handle = open(path);
  try {
    const status = fstatSync(handle);
    const bytes = status.isFile() ? fill(handle, most) : fill(handle, most, status.isFIFO() ? GRACE : 0);
    return { bytes, size: status.isFile() ? Math.max(status.size, bytes.length) : bytes.length };
  } finally {
    if (handle !== 0) closeSync(handle);
  }
}

/** All bytes of a file. @throws as `readStart` does, and FormatError for a file of more than `most` bytes. */
export function readWhole(path: string, most: number): Uint8Array {
  const { bytes, size } = readStart(path, most + 1);
  if (size <= most) return bytes;
  throw new FormatError(`it has more than ${most} bytes`);
}

/** The text of a file. @throws as `readWhole` does. */
export const readWholeText = (path: string, most: number): string => Buffer.from(readWhole(path, most)).toString();

/**
 * Opens a file to be read at any place. It does not wait for the writer of a pipe.
 *
 * @throws FormatError for what is not a regular file, or what the system says.
 */
export function openRegular(path: string): number {
  const handle = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  const kind = kindOf(fstatSync(handle));
  if (kind === undefined) return handle;
  closeSync(handle);
  throw new FormatError(`it is ${kind}`);
}

/** What a path stands for, where that is not a regular file. */
export function kindOf(status: Stats): string | undefined {
  if (status.isFile()) return undefined;
  if (status.isDirectory()) return 'a folder';
  if (status.isFIFO()) return 'a pipe';
  return status.isSocket() ? 'a socket' : 'a device';
}

function open(path: string): number {
  if (path !== STDIN) {
    // before it is opened: opening some devices does something
    const kind = kindOf(statSync(path));
    if (kind !== undefined && kind !== 'a pipe') throw new FormatError(`it is ${kind}`);
    return openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  }
  if (fstatSync(0).isFile()) return 0;
  try {
    // a handle of its own, which does not wait: a thread that waits in the system cannot be ended
    return openSync(STDIN, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  } catch {
    return 0;
  }
}

function fill(handle: number, most: number, grace = 0): Uint8Array {
  const blocks: Uint8Array[] = [];
  const latest = performance.now() + grace;
  let total = 0;
  while (total < most) {
    const block = new Uint8Array(Math.min(BLOCK, most - total));
    const read = again(() => next(handle, block));
    if (read === 0) {
      if (total > 0 || grace === 0) break;
      if (performance.now() > latest) throw new FormatError('it is a pipe that nobody writes to');
      pause();
    }
    blocks.push(block.subarray(0, read));
    total += read;
  }
  const bytes = new Uint8Array(total);
  let at = 0;
  for (const block of blocks) {
    bytes.set(block, at);
    at += block.length;
  }
  return bytes;
}

function next(handle: number, block: Uint8Array): number {
  try {
    return readSync(handle, block, 0, block.length, null);
  } catch (error) {
    // the end of a terminal or pipe on Windows
    if (codeOf(error) === 'EOF') return 0;
    throw error;
  }
}
