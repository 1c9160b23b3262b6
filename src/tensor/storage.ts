import type { Device, DeviceBuffer } from '../devices/device.js';

/** A device buffer that several tensors and tape entries may hold; it is freed with the last of them. */
export class Storage {
  #references = 1;

  constructor(
    readonly device: Device,
    readonly buffer: DeviceBuffer,
  ) {}

  get references(): number {
    return this.#references;
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
