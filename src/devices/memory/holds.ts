import type { Block } from './allocator.js';

/** Who holds blocks: a recording. */
export type Holder = object;

interface Held {
  readonly blocks: Set<Block>;
  /** Those that the step took, and not found. */
  readonly taken: Set<Block>;
  /** Of blocks that were freed within the step that is being recorded: the next allocations of their length get them. */
  readonly spare: Map<number, Block[]>;
}

/**
 * Blocks that recordings read or write: they do not go back to the allocator when their buffers are freed, but when the last recording
 * that holds them is disposed of.
 */
export class Holds {
  readonly #held = new Map<Holder, Held>();
  readonly #count = new Map<Block, number>();
  /** Held blocks whose buffers were freed, and the bytes these had. */
  readonly #orphans = new Map<Block, number>();
  #current: Held | undefined;

  /** Whether a step is being recorded. */
  get recording(): boolean {
    return this.#current !== undefined;
  }

  begin(holder: Holder): void {
    this.#current = { blocks: new Set(), taken: new Set(), spare: new Map() };
    this.#held.set(holder, this.#current);
  }

  end(): void {
    this.#current = undefined;
  }

  /** A block of this length that the step has done with, and the bytes that were counted for it. */
  reuse(length: number): { readonly block: Block; readonly bytes: number } | undefined {
    const block = this.#current?.spare.get(length)?.pop();
    if (block === undefined) return undefined;
    const bytes = this.#orphans.get(block)!;
    this.#orphans.delete(block);
    return { block, bytes };
  }

  /** The step that is being recorded takes a block. */
  take(block: Block): void {
    this.hold(block);
    this.#current?.taken.add(block);
  }

  /** It reads or writes a block. */
  hold(block: Block): void {
    const current = this.#current;
    if (current === undefined || current.blocks.has(block)) return;
    current.blocks.add(block);
    this.#count.set(block, (this.#count.get(block) ?? 0) + 1);
  }

  /** Whether a block whose buffer is freed stays; `bytes` were counted for it. */
  keeps(block: Block, bytes: number): boolean {
    if (!this.#count.has(block)) return false;
    this.#orphans.set(block, bytes);
    const current = this.#current;
    if (current?.taken.has(block)) {
      const { length } = block;
      const spare = current.spare.get(length);
      if (spare === undefined) current.spare.set(length, [block]);
      else spare.push(block);
    }
    return true;
  }

  /** Ends what a holder holds; returns the blocks that nobody has a use for any more, and their bytes. */
  release(holder: Holder): readonly (readonly [Block, number])[] {
    const gone: (readonly [Block, number])[] = [];
    for (const block of this.#held.get(holder)?.blocks ?? []) {
      const count = this.#count.get(block)! - 1;
      if (count > 0) {
        this.#count.set(block, count);
        continue;
      }
      this.#count.delete(block);
      const bytes = this.#orphans.get(block);
      if (bytes === undefined) continue;
      this.#orphans.delete(block);
      gone.push([block, bytes]);
    }
    this.#held.delete(holder);
    return gone;
  }
}
