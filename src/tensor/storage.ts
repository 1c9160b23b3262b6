import type { Device, DeviceBuffer } from '../devices/device.js';

/** What the host knows of the integers in a storage, so that no one has to read them back to check them. */
export interface Integers {
  /** No element is above it. */
  readonly high: number;
  /** Every element below 0 is one of these; `at` is the flat index of the first. */
  readonly negatives: ReadonlyMap<number, { readonly count: number; readonly at: number }>;
  /** Where `high` stands first, if it does and the counts are those of this very storage; else these are bounds only. */
  readonly highAt: number | undefined;
}

/** A device buffer that several tensors and tape entries may hold; it is freed with the last of them. */
export class Storage {
  /** What is known of its elements as they are now. */
  integers: Integers | undefined;
  #references = 1;
  #version = 0;

  constructor(
    readonly device: Device,
    readonly buffer: DeviceBuffer,
  ) {}

  get references(): number {
    return this.#references;
  }

  /** The number of writes: an operation compares it in the backward pass with what it was when it was recorded. */
  get version(): number {
    return this.#version;
  }

  /** The buffer, to be written to. What was known of its elements no longer holds. */
  writable(): DeviceBuffer {
    this.#version++;
    this.integers = undefined;
    return this.buffer;
  }

  retain(): this {
    this.#references++;
    return this;
  }

  release(): void {
    if (--this.#references === 0) this.device.free(this.buffer);
  }
}

/**
 * What one tape entry keeps alive: the storage it saved, and the entries before it. Counted by output tensors and later
 * entries. It holds no tensor, so a forgotten tensor stays collectable and its finaliser can release all of this.
 */
export class Lifetime {
  #references = 0;
  #storages: readonly Storage[];
  #parents: readonly Lifetime[];

  constructor(storages: readonly Storage[], parents: readonly Lifetime[]) {
    this.#storages = storages.map((storage) => storage.retain());
    this.#parents = parents;
    for (const parent of parents) parent.retain();
  }

  retain(): void {
    this.#references++;
  }

  release(): void {
    // a list, not recursion: a history may be long
    const pending: Lifetime[] = [this];
    for (let lifetime = pending.pop(); lifetime !== undefined; lifetime = pending.pop()) {
      if (--lifetime.#references > 0) continue;
      lifetime.forget();
      pending.push(...lifetime.#parents);
      lifetime.#parents = [];
    }
  }

  /** Releases the saved storage, but not the entries before. */
  forget(): void {
    for (const storage of this.#storages) storage.release();
    this.#storages = [];
  }
}
