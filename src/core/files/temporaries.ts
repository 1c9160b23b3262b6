import { requireNode } from '../node.js';

const { rmSync } = requireNode('node:fs');

/** Bytes of a slot: its length, then a path; longer ones no system takes. */
const SLOT = 4096 + 4;
const SLOTS = 32;

/** The lock: nobody makes a temporary; one is being made; none may be made, since the process ends. */
const [OPEN, BUSY, CLOSED] = [0, 1, 2] as const;
/** Making an empty file or folder takes no longer. */
const PATIENCE = 1000;

/**
 * Files and folders that must not outlive the process. They stand in memory that threads may share, so that one that ends the
 * process removes what another had begun.
 */
export class Temporaries {
  readonly memory: SharedArrayBuffer;
  readonly #lock: Int32Array;

  constructor(memory = new SharedArrayBuffer(4 + SLOTS * SLOT)) {
    this.memory = memory;
    this.#lock = new Int32Array(memory, 0, 1);
  }

  /** Makes a temporary of this path by `create`, and returns how to forget it: by then it was removed, or has another name. */
  hold(path: string, create: () => void): () => void {
    const slot = this.#slots().find(({ length }) => length[0] === 0);
    // a process that ends takes this thread with it
    while (Atomics.compareExchange(this.#lock, 0, OPEN, BUSY) !== OPEN) Atomics.wait(this.#lock, 0, CLOSED);
    const forget = (): void => void (slot && Atomics.store(slot.length, 0, 0));
    try {
      const bytes = new TextEncoder().encode(path);
      if (slot !== undefined && bytes.length <= slot.path.length) {
        slot.path.set(bytes);
        Atomics.store(slot.length, 0, bytes.length);
      }
      create();
      return forget;
    } catch (error) {
      forget();
      throw error;
    } finally {
      Atomics.store(this.#lock, 0, OPEN);
      Atomics.notify(this.#lock, 0);
    }
  }

  /** Removes all there are; none can be made any more. */
  removeAll(): void {
    if (Atomics.compareExchange(this.#lock, 0, OPEN, CLOSED) === BUSY) {
      Atomics.wait(this.#lock, 0, BUSY, PATIENCE);
      Atomics.store(this.#lock, 0, CLOSED);
    }
    for (const { length, path } of this.#slots()) {
      if (length[0] === 0) continue;
      try {
        rmSync(Buffer.from(path.slice(0, length[0])).toString(), { recursive: true, force: true });
      } catch {
        // the process ends; there is nobody to report to
      }
    }
  }

  #slots(): { readonly length: Int32Array; readonly path: Uint8Array }[] {
    return Array.from({ length: SLOTS }, (_, i) => {
      const at = 4 + i * SLOT;
      return { length: new Int32Array(this.memory, at, 1), path: new Uint8Array(this.memory, at + 4, SLOT - 4) };
    });
  }
}

let own: Temporaries | undefined;

/** Those of this process, removed when it exits. */
export function temporaries(): Temporaries {
  if (own === undefined) {
    own = new Temporaries();
    process.once('exit', () => own?.removeAll());
  }
  return own;
}

/** From now on another thread removes what this one leaves. */
export function shareTemporaries(memory: SharedArrayBuffer): void {
  own = new Temporaries(memory);
}
