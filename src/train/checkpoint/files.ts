import { FormatError } from '../../core/errors.js';
import { kindOf } from '../../core/files/read.js';
import { makeFolders } from '../../core/folders.js';
import { requireNode } from '../../core/node.js';
import { having } from '../../core/requirements.js';
import type { ByteSource } from './bytes.js';
import type { FileHandle } from 'node:fs/promises';

const { constants } = requireNode('node:fs');
const { open, readdir, rename, rm } = requireNode('node:fs/promises');
const { dirname, resolve } = requireNode('node:path');

/** A file that is written from its start to its end, or read at any place. */
export interface OpenFile extends ByteSource {
  /** Appends all of `bytes`. */
  write(bytes: Uint8Array): Promise<void>;
  /** Returns once everything written has reached the disk. */
  sync(): Promise<void>;
}

/** What checkpoints ask of a file system. A parameter, so that a test can stop it at any operation. */
export interface Files {
  /** For `'write'` the file is made, or emptied; for `'read'` it has to be a regular one. */
  open(path: string, mode: 'read' | 'write'): Promise<OpenFile>;
  /** Replaces `to` in one step. */
  rename(from: string, to: string): Promise<void>;
  /** Does nothing where there is no such file. */
  remove(path: string): Promise<void>;
  /** Names of the entries of a folder. */
  list(folder: string): Promise<readonly string[]>;
  /** Makes a folder, with those above it, unless it is there. */
  makeFolder(path: string): Promise<void>;
  /** Returns once the names in the folder have reached the disk. */
  syncFolder(path: string): Promise<void>;
}

export const someFiles = having('a file system', 'open', 'rename', 'remove', 'list', 'makeFolder', 'syncFolder');

/** Node takes no read or write of 2 GiB or more at once. */
const MOST_AT_ONCE = 2 ** 26;

class NodeFile implements OpenFile {
  readonly #handle: FileHandle;

  constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  async write(bytes: Uint8Array): Promise<void> {
    let done = 0;
    while (done < bytes.length) {
      done += (await this.#handle.write(bytes, done, Math.min(bytes.length - done, MOST_AT_ONCE))).bytesWritten;
    }
  }

  async read(into: Uint8Array, position: number): Promise<number> {
    let filled = 0;
    while (filled < into.length) {
      const most = Math.min(into.length - filled, MOST_AT_ONCE);
      const { bytesRead } = await this.#handle.read(into, filled, most, position + filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    return filled;
  }

  async size(): Promise<number> {
    return (await this.#handle.stat()).size;
  }

  sync(): Promise<void> {
    return this.#handle.sync();
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}

async function syncFolder(path: string): Promise<void> {
  // Windows has no handles of folders; its file systems keep the order of renames by themselves
  if (process.platform === 'win32') return;
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** The file system of this machine. */
export const nodeFiles: Files = {
  async open(path, mode) {
    if (mode === 'write') return new NodeFile(await open(path, 'w'));
    // nothing waits for the writer of a pipe
    const handle = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    const kind = kindOf(await handle.stat());
    if (kind === undefined) return new NodeFile(handle);
    await handle.close();
    throw new FormatError(`it is ${kind}`);
  },
  rename,
  remove: (path) => rm(path, { force: true }),
  list: readdir,
  syncFolder,
  async makeFolder(path) {
    const first = makeFolders(resolve(path));
    if (first === undefined) return;
    // a folder's name is kept by the folder above
    for (let made = resolve(path); made.length >= first.length; made = dirname(made)) await syncFolder(dirname(made));
  },
};
