/** Every block starts at, and is as long as, a multiple of this many bytes: one cache line, one AVX-512 register. */
export const ALIGNMENT = 64;

export function alignUp(bytes: number, alignment = ALIGNMENT): number {
  return Math.ceil(bytes / alignment) * alignment;
}

/** A stretch of address space, taken or free. Neighbours in address order are linked, within one region only. */
export interface Block {
  address: number;
  length: number;
  free: boolean;
  readonly region: object;
  previous: Block | undefined;
  next: Block | undefined;
}

/**
 * Best fit over one or more regions of address space, with immediate coalescing. It knows addresses, not memory.
 *
 * Free blocks are kept sorted by (length, address): the smallest block that fits is found by bisection, and of equal
 * ones the lowest address, so the same calls always give the same addresses.
 */
export class Allocator {
  readonly #free: Block[] = [];
  #freeBytes = 0;

  /** Free bytes over all regions, in however many pieces. */
  get freeBytes(): number {
    return this.#freeBytes;
  }

  get freeBlocks(): readonly Readonly<Block>[] {
    return this.#free;
  }

  /** Bytes of the largest free block. */
  get largest(): number {
    return this.#free[this.#free.length - 1]?.length ?? 0;
  }

  /** Adds the bytes `[address, address + length)` as a new region; `region` is any object that stands for it. */
  add(region: object, address: number, length: number): void {
    this.#insert({ address, length, free: true, region, previous: undefined, next: undefined });
  }

  /** Lengthens the region whose last block is `last` by `length` bytes; returns the new last block. */
  extend(last: Block, length: number): Block {
    const block: Block = {
      address: last.address + last.length,
      length,
      free: true,
      region: last.region,
      previous: last,
      next: undefined,
    };
    last.next = block;
    return this.#coalesce(block);
  }

  /** A block of `length` bytes rounded up to the alignment, or undefined when no free block is long enough. */
  take(length: number): Block | undefined {
    const rounded = Math.max(ALIGNMENT, alignUp(length));
    const block = this.#free[this.#position(rounded, 0)];
    if (!block) return undefined;
    this.#remove(block);
    block.free = false;
    if (block.length > rounded) {
      const rest: Block = {
        address: block.address + rounded,
        length: block.length - rounded,
        free: true,
        region: block.region,
        previous: block,
        next: block.next,
      };
      if (block.next) block.next.previous = rest;
      block.next = rest;
      block.length = rounded;
      this.#insert(rest);
    }
    return block;
  }

  /** Frees a block and merges it with free neighbours. Returns the free block that now covers its bytes. */
  give(block: Block): Block {
    return this.#coalesce(block);
  }

  /** Forgets a region that is one free block. */
  drop(block: Block): void {
    this.#remove(block);
  }

  #coalesce(block: Block): Block {
    block.free = true;
    const next = block.next;
    if (next?.free) {
      this.#remove(next);
      block.length += next.length;
      block.next = next.next;
      if (next.next) next.next.previous = block;
    }
    const previous = block.previous;
    if (!previous?.free) return this.#insert(block);
    this.#remove(previous);
    previous.length += block.length;
    previous.next = block.next;
    if (block.next) block.next.previous = previous;
    return this.#insert(previous);
  }

  #insert(block: Block): Block {
    this.#free.splice(this.#position(block.length, block.address), 0, block);
    this.#freeBytes += block.length;
    return block;
  }

  #remove(block: Block): void {
    this.#free.splice(this.#position(block.length, block.address), 1);
    this.#freeBytes -= block.length;
  }

  /** Index of the first free block that is not smaller than (length, address). */
  #position(length: number, address: number): number {
    let low = 0;
    let high = this.#free.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const block = this.#free[middle]!;
      const before = block.length !== length ? block.length < length : block.address < address;
      if (before) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Whether a free block covers its whole region. */
export function coversRegion(block: Block): boolean {
  return block.free && block.previous === undefined && block.next === undefined;
}
