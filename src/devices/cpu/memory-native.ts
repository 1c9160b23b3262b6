import { totalmem } from 'node:os';
import { alignUp, Allocator, type Block, coversRegion } from '../memory/allocator.js';
import { fillWords, type HostSource } from '../memory/memory.js';

/** The functions of the small C runtime, whose text is in `native.ts`. */
export interface MemoryRuntime {
  /** The absolute address of a typed array's first byte. */
  address(array: Uint8Array): number;
  /** Tells the system that these bytes are used in large strides, so that it may back them with large pages. */
  advise(address: number, length: number): void;
  /** Returns the pages inside these bytes to the system; they read as zero afterwards. */
  release(address: number, length: number): void;
}

interface Region {
  readonly bytes: Uint8Array;
  readonly address: number;
}

const MiB = 2 ** 20;
const SMALLEST_REGION = 64 * MiB;
/** The longest Uint8Array of Node 20. One buffer cannot be longer; all of them together can. */
const LARGEST_REGION = 2 ** 32;
/**
 * Touching fresh pages costs about as much as computing with them (0.7 s per GB on a virtual machine), so wholly free
 * regions are kept for the next step of a loop: this many bytes permanently, more for a few seconds.
 */
const KEPT = 256 * MiB;
const KEPT_MILLISECONDS = 5000;

/** As many shared arrays as it takes: beyond 4 GiB in total, and back to the system when they are empty. */
export class NativeMemory implements HostSource {
  readonly allocator = new Allocator();
  readonly limit: number;
  readonly limitReason: string;
  readonly remedy: string;
  readonly #runtime: MemoryRuntime;
  readonly #regions = new Set<Region>();
  readonly #idle = new Map<Block, number>();
  readonly #patience: number;
  #timer: NodeJS.Timeout | undefined;
  #reserved = 0;

  constructor(runtime: MemoryRuntime, memoryLimit: number | undefined, patience: number = KEPT_MILLISECONDS) {
    this.#runtime = runtime;
    this.#patience = patience;
    // more than the machine has would not throw but end the process
    const machine = physicalMemory();
    this.limit = Math.min(memoryLimit ?? Infinity, machine);
    const limited = memoryLimit !== undefined && memoryLimit <= machine;
    this.limitReason = limited ? 'memoryLimit' : 'the memory of this machine';
    this.remedy =
      'Free tensors (scope), use a smaller batch or a sparser mask' + (limited ? ', or raise memoryLimit.' : '.');
  }

  get reserved(): number {
    return this.#reserved;
  }

  grow(length: number): boolean {
    // one cache line of slack, because the system aligns to 16 bytes
    const needed = length + 64;
    if (needed > LARGEST_REGION) return false;
    const live = this.#reserved - this.allocator.freeBytes;
    this.#trim(needed > this.limit - this.#reserved ? 0 : Math.max(KEPT, live), Infinity);
    const room = Math.min(LARGEST_REGION, this.limit - this.#reserved);
    if (needed > room) return false;
    const size = Math.min(room, Math.max(SMALLEST_REGION, alignUp(needed, 2 * MiB)));
    return this.#reserve(size) || this.#reserve(needed);
  }

  idle(block: Block): void {
    this.#idle.set(block, performance.now());
    this.#trimLater();
  }

  view(block: Block, byteOffset: number, byteLength: number): Uint8Array {
    const { bytes, address } = block.region as Region;
    return new Uint8Array(bytes.buffer, block.address - address + byteOffset, byteLength);
  }

  fill(block: Block, word: number): void {
    fillWords(this.view(block, 0, block.length), word);
  }

  dispose(): void {
    for (const region of this.#regions) this.#runtime.release(region.address, region.bytes.byteLength);
    this.#regions.clear();
    this.#idle.clear();
    clearTimeout(this.#timer);
    this.#reserved = 0;
  }

  #reserve(length: number): boolean {
    let bytes: Uint8Array;
    try {
      bytes = new Uint8Array(new SharedArrayBuffer(length));
    } catch {
      return false;
    }
    const region: Region = { bytes, address: this.#runtime.address(bytes) };
    this.#runtime.advise(region.address, length);
    this.#regions.add(region);
    this.#reserved += length;
    const start = alignUp(region.address);
    const end = region.address + length;
    this.allocator.add(region, start, end - start - ((end - start) % 64));
    return true;
  }

  /** Gives regions back that were empty since `before`, as long as more than `keep` bytes are; returns the bytes left. */
  #trim(keep: number, before: number): number {
    let bytes = 0;
    for (const block of this.#idle.keys()) {
      if (coversRegion(block)) bytes += block.length;
      else this.#idle.delete(block);
    }
    for (const [block, since] of this.#idle) {
      if (bytes <= keep) break;
      if (since > before) continue;
      bytes -= block.length;
      this.#drop(block);
    }
    return bytes;
  }

  /** Trims what was empty for long enough, and comes back for the rest: a program that goes quiet returns its memory. */
  #trimLater(): void {
    const left = this.#trim(KEPT, performance.now() - this.#patience);
    if (left <= KEPT || this.#timer) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#trimLater();
    }, this.#patience + 1);
    this.#timer.unref();
  }

  #drop(block: Block): void {
    const region = block.region as Region;
    this.#idle.delete(block);
    this.allocator.drop(block);
    this.#regions.delete(region);
    this.#reserved -= region.bytes.byteLength;
    // V8 does not count shared arrays as memory pressure and may collect this one much later, or never
    this.#runtime.release(region.address, region.bytes.byteLength);
  }
}

/** Bytes of the machine, or of the container this process runs in. */
function physicalMemory(): number {
  const constrained = process.constrainedMemory?.() ?? 0;
  return constrained > 0 && constrained < totalmem() ? constrained : totalmem();
}
