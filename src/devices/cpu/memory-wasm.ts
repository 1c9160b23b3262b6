import { CapabilityError } from '../../core/errors.js';
import { alignUp, Allocator, type Block } from '../memory/allocator.js';
import { fillWords, type HostSource } from '../memory/memory.js';

const PAGE = 65536;
/** The import of every generated module declares this maximum; a smaller memory is accepted, a larger one is not. */
const MAXIMUM_PAGES = 65536;
const INITIAL_PAGES = 16;
/** Growing by less would call into the engine for every other tensor. */
const SMALLEST_GROWTH = 64;

/** What this file needs of a WebAssembly.Memory; structural, so that declarations do not depend on the DOM library. */
export interface SharedMemory {
  readonly buffer: ArrayBuffer | SharedArrayBuffer;
  grow(pages: number): number;
}

/** One shared WebAssembly memory, grown on demand, never shrunk (the format cannot). */
export class WasmMemory implements HostSource {
  readonly allocator = new Allocator();
  readonly memory: SharedMemory;
  readonly limit: number;
  readonly limitReason: string;
  readonly remedy: string;
  #pages: number;
  /** The block with the highest address ends where the memory ends; found again through this one. */
  #first: Block;

  constructor(memoryLimit: number | undefined) {
    const wanted = Math.min(MAXIMUM_PAGES, Math.floor((memoryLimit ?? Infinity) / PAGE));
    this.#pages = Math.min(INITIAL_PAGES, wanted);
    const [memory, maximum] = reserve(this.#pages, wanted);
    this.memory = memory;
    this.limit = maximum * PAGE;
    const limited = memoryLimit !== undefined && maximum === wanted && wanted < MAXIMUM_PAGES;
    this.limitReason = limited ? 'memoryLimit' : maximum < wanted ? 'this engine' : 'WebAssembly';
    this.remedy =
      'Free tensors (scope), use a smaller batch or a sparser mask, ' +
      (limited ? 'or raise memoryLimit.' : 'or use the native device, which has no such limit.');
    // address 0 is never handed out: a null pointer in a kernel is then always a bug
    const start = alignUp(1);
    this.allocator.add(this, start, this.#pages * PAGE - start);
    this.#first = this.allocator.freeBlocks[0] as Block;
  }

  get reserved(): number {
    return this.#pages * PAGE;
  }

  grow(length: number): boolean {
    let last = this.#first;
    while (last.next) last = last.next;
    const missing = Math.ceil((length - (last.free ? last.length : 0)) / PAGE);
    const room = this.limit / PAGE - this.#pages;
    if (missing > room) return false;
    const generous = Math.min(room, Math.max(missing, SMALLEST_GROWTH, this.#pages >> 2));
    const pages = this.#tryGrow(generous) ? generous : this.#tryGrow(missing) ? missing : 0;
    if (pages === 0) return false;
    this.#pages += pages;
    this.allocator.extend(last, pages * PAGE);
    return true;
  }

  idle(): void {}

  view(block: Block, byteOffset: number, byteLength: number): Uint8Array {
    // `buffer` is a new, longer object after each growth, so it is asked for every time
    return new Uint8Array(this.memory.buffer, block.address + byteOffset, byteLength);
  }

  fill(block: Block, word: number): void {
    fillWords(this.view(block, 0, block.length), word);
  }

  dispose(): void {}

  #tryGrow(pages: number): boolean {
    try {
      this.memory.grow(pages);
      return true;
    } catch {
      return false;
    }
  }
}

/** A shared memory with the largest maximum the engine grants (phones refuse to reserve 4 GiB), and that maximum. */
function reserve(initial: number, wanted: number): [SharedMemory, number] {
  for (let maximum = wanted; maximum >= initial && maximum > 0; maximum = Math.floor(maximum / 2)) {
    try {
      return [new WebAssembly.Memory({ initial, maximum, shared: true }), maximum];
    } catch {
      continue;
    }
  }
  throw new CapabilityError(
    'createDevice: this engine gives no shared WebAssembly memory of at least 64 KiB; ' +
      'use an engine with WebAssembly threads, or raise memoryLimit.',
  );
}
