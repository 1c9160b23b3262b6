import { basename } from 'node:path';
import type { Files, OpenFile } from '../../../src/train/checkpoint/files.js';

interface Content {
  now: Uint8Array;
  /** What a loss of power leaves. */
  durable: Uint8Array;
}

type Names = Map<string, Content>;
type Change = (names: Names) => void;

/** What a killed process gets from then on. */
export class Killed extends Error {
  readonly code = 'KILLED';
}

/**
 * One folder that can lose power: bytes are durable after `sync`, names after `syncFolder`. `failAt` is the operation, counted
 * from 0, before which the process is killed; an interrupted write leaves half of its bytes.
 */
export class MemoryFiles implements Files {
  operations = 0;
  failAt = Infinity;
  /** Thrown once at `failAt` instead of ending the process: a full disk, say. */
  failure: Error | undefined;
  names: Names = new Map();
  #durable: Names = new Map();
  #pending: Change[] = [];

  #step(interrupted?: () => void): void {
    const at = this.operations++;
    if (at < this.failAt) return;
    if (at === this.failAt) interrupted?.();
    if (this.failure === undefined) throw new Killed();
    if (at === this.failAt) throw this.failure;
  }

  #change(change: Change): void {
    change(this.names);
    this.#pending.push(change);
  }

  /** Every folder that a loss of power can leave: each change of a name not yet synced may have reached the disk or not. */
  *afterPowerLoss(): Generator<MemoryFiles> {
    for (let chosen = 0; chosen < 2 ** this.#pending.length; chosen++) {
      const names = new Map(this.#durable);
      this.#pending.forEach((change, i) => {
        if ((chosen >> i) & 1) change(names);
      });
      yield MemoryFiles.holding(names, 'durable');
    }
  }

  /** What is left when only the process ends. */
  afterKill(): MemoryFiles {
    return MemoryFiles.holding(this.names, 'now');
  }

  static holding(names: Names, which: keyof Content): MemoryFiles {
    const files = new MemoryFiles();
    for (const [name, content] of names) {
      const bytes = content[which];
      const copy = { now: bytes, durable: bytes };
      files.names.set(name, copy);
      files.#durable.set(name, copy);
    }
    return files;
  }

  async open(path: string, mode: 'read' | 'write'): Promise<OpenFile> {
    this.#step();
    const name = basename(path);
    if (mode === 'write') {
      const made: Content = { now: new Uint8Array(), durable: new Uint8Array() };
      this.#change((names) => names.set(name, made));
    }
    const content = this.names.get(name);
    if (content === undefined) throw Object.assign(new Error(`no ${name}`), { code: 'ENOENT' });
    const append = (bytes: Uint8Array): void => {
      content.now = Uint8Array.from([...content.now, ...bytes]);
    };
    return {
      write: async (bytes) => {
        this.#step(() => append(bytes.subarray(0, bytes.length >> 1)));
        append(bytes);
      },
      read: async (into, position) => {
        const found = content.now.subarray(position, position + into.length);
        into.set(found);
        return found.length;
      },
      size: async () => content.now.length,
      sync: async () => {
        this.#step();
        content.durable = content.now;
      },
      close: async () => this.#step(),
    };
  }

  async rename(from: string, to: string): Promise<void> {
    this.#step();
    const content = this.names.get(basename(from));
    if (content === undefined) throw Object.assign(new Error(`no ${from}`), { code: 'ENOENT' });
    this.#change((names) => {
      names.delete(basename(from));
      names.set(basename(to), content);
    });
  }

  async remove(path: string): Promise<void> {
    this.#step();
    this.#change((names) => names.delete(basename(path)));
  }

  async list(): Promise<readonly string[]> {
    this.#step();
    return [...this.names.keys()];
  }

  async makeFolder(): Promise<void> {
    this.#step();
  }

  async syncFolder(): Promise<void> {
    this.#step();
    this.#durable = new Map(this.names);
    this.#pending = [];
  }
}
