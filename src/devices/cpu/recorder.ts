import type { HostMemory } from '../memory/memory.js';
import type { CompiledKernel, Pool, Work } from './pool.js';
import type { Recording } from '../device.js';

/** One thing that a step did: a kernel with its arguments as they lie in the parameter slots, what the host wrote, or a look at memory. */
type Deed =
  | { readonly program: CompiledKernel; readonly words: Uint32Array; readonly work: Work }
  | { readonly to: Uint8Array; readonly bytes: Uint8Array }
  | (() => void);

export interface RecorderParts {
  readonly memory: HostMemory;
  readonly pool: Pool;
  /** The parameter slots. */
  readonly words: Uint32Array;
  /** Called with the number of kernels of every run. */
  readonly counted: (dispatches: number) => void;
}

/**
 * What a step did, to be done again: no shape is looked at and nothing is allocated then. Memory that the step took stays where it is,
 * handed on within the step only, and what it read stays there as long as the recording does.
 */
export class Recorder implements Recording {
  readonly #deeds: Deed[] = [];
  readonly #parts: RecorderParts;
  #dispatches = 0;
  #disposed = false;

  constructor(parts: RecorderParts) {
    this.#parts = parts;
    parts.memory.beginHolding(this);
  }

  /** Notes a kernel with the arguments that the slots hold now. */
  noteRun(program: CompiledKernel, slots: number, work: Work): void {
    this.#dispatches++;
    this.#deeds.push({ program, words: this.#parts.words.slice(0, 2 * slots), work });
  }

  noteWrite(to: Uint8Array, bytes: Uint8Array): void {
    if (bytes.length > 0) this.#deeds.push({ to, bytes: bytes.slice() });
  }

  noteCheck(check: () => void): void {
    this.#deeds.push(check);
  }

  /** The step is over. */
  end(): void {
    this.#parts.memory.endHolding();
  }

  replay(): void {
    const { words, pool, counted } = this.#parts;
    for (const deed of this.#deeds) {
      if (typeof deed === 'function') deed();
      else if ('to' in deed) deed.to.set(deed.bytes);
      else {
        words.set(deed.words);
        pool.run(deed.program, deed.work);
      }
    }
    counted(this.#dispatches);
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#deeds.length = 0;
    this.#parts.memory.letGo(this);
  }
}
