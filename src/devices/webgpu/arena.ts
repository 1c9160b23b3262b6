import { Allocator, alignUp, type Block } from '../memory/allocator.js';
import type { MemorySource } from '../memory/memory.js';
import { type GpuBuffer, type GpuDevice, USAGE } from './api.js';

/** What the arena asks of the commands that run on it. */
export interface ArenaWork {
  /** From here on the arena is this buffer, with what it held. */
  bind(buffer: GpuBuffer): void;
  fill(address: number, byteLength: number, word: number): void;
  /** Runs a call that may find no memory. */
  guard<T>(body: () => T): T;
}

const FIRST_BYTES = 32 * 2 ** 20;
const UNIT = 256;
const count = (bytes: number): string => bytes.toLocaleString('en-US');

/**
 * One buffer of the GPU, bound whole, from which all memory of a device is taken: any number of pointers is then one binding, and parts of
 * a buffer, one buffer twice and results in place are what they are on a CPU. It grows by doubling, into a new buffer.
 */
export class Arena implements MemorySource {
  readonly allocator = new Allocator();
  readonly limit: number;
  readonly limitReason: string;
  readonly remedy: string;
  readonly #gpu: GpuDevice;
  readonly #work: ArenaWork;
  #buffer: GpuBuffer;
  #first: Block;

  constructor(gpu: GpuDevice, work: ArenaWork, memoryLimit: number | undefined) {
    this.#gpu = gpu;
    this.#work = work;
    const { maxStorageBufferBindingSize: binding, maxBufferSize: buffer } = gpu.limits;
    // drivers break from 2 GiB on
    const bound = Math.floor(Math.min(binding, buffer, 2 ** 31 - UNIT) / UNIT) * UNIT;
    const limited = memoryLimit !== undefined && memoryLimit < bound;
    this.limit = limited ? Math.floor(memoryLimit / UNIT) * UNIT : bound;
    this.limitReason = limited
      ? 'memoryLimit'
      : bound === 2 ** 31 - UNIT
        ? 'this library on a GPU'
        : `this GPU's ${binding <= buffer ? 'maxStorageBufferBindingSize' : 'maxBufferSize'}`;
    this.remedy =
      'Free tensors (scope), use a smaller batch or a sparser mask, ' +
      (limited
        ? 'or raise memoryLimit.'
        : `or a CPU device; one tensor of ${count(this.limit - UNIT)} bytes would fit.`);
    const size = Math.min(FIRST_BYTES, this.limit);
    this.#buffer = this.#create(size);
    // address 0 is never handed out: a null pointer in a kernel is then always a bug
    this.allocator.add(this, alignUp(1), size - alignUp(1));
    this.#first = this.allocator.freeBlocks[0] as Block;
  }

  get reserved(): number {
    return this.#buffer.size;
  }

  grow(length: number): boolean {
    let last = this.#first;
    while (last.next) last = last.next;
    const missing = alignUp(length - (last.free ? last.length : 0), UNIT);
    const before = this.reserved;
    if (before + missing > this.limit) return false;
    const size = Math.min(this.limit, Math.max(2 * before, before + missing));
    this.#buffer = this.#create(size);
    this.allocator.extend(last, size - before);
    return true;
  }

  idle(): void {}

  fill({ address, length }: Block, word: number): void {
    this.#work.fill(address, length, word);
  }

  dispose(): void {
    this.#buffer.destroy();
  }

  #create(size: number): GpuBuffer {
    const usage = USAGE.storage | USAGE.copyFrom | USAGE.copyTo;
    const buffer = this.#work.guard(() => this.#gpu.createBuffer({ label: 'arena', size, usage }));
    this.#work.bind(buffer);
    return buffer;
  }
}
