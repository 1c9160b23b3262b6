import { DeviceError, OptionError, OutOfMemoryError } from '../../core/errors.js';
import type { DeviceBuffer } from '../device.js';
import type { Category, Ledger } from '../ledger.js';
import { Holds, type Holder } from './holds.js';
import { alignUp, type Allocator, type Block, coversRegion } from './allocator.js';

/** Where address space comes from: the one memory of WebAssembly, as many shared arrays as it takes, or a buffer of a GPU. */
export interface MemorySource {
  readonly allocator: Allocator;
  /** Bytes reserved from the system. */
  readonly reserved: number;
  readonly limit: number;
  /** What bounds `limit`, as the object of "allowed by". */
  readonly limitReason: string;
  /** What a user can do when the limit is reached. */
  readonly remedy: string;
  /** Reserves room for one more block of `length` bytes; false when the limit or the system forbids it. */
  grow(length: number): boolean;
  /** Told of each free block that covers its whole region, so that the source can give the region back. */
  idle(block: Block): void;
  /** Sets every 32-bit word of a block. */
  fill(block: Block, word: number): void;
  dispose(): void;
}

/** A source that the host sees. */
export interface HostSource extends MemorySource {
  view(block: Block, byteOffset: number, byteLength: number): Uint8Array;
}

/** A quiet NaN that is easy to recognise in a dump. */
const POISON = 0x7fc0dead;

/** One buffer is viewed by one typed array, and 2³² bytes are the longest of Node 20. */
const LARGEST_BUFFER = 2 ** 32 - 128;

const count = (bytes: number): string => bytes.toLocaleString('en-US');

/** Blocks of a source handed out as buffers, counted in a ledger. */
export class Memory<Source extends MemorySource = MemorySource> {
  readonly source: Source;
  readonly #ledger: Ledger;
  readonly #poison: boolean;
  readonly #live = new Map<DeviceBuffer, Block>();
  readonly #freed = new WeakSet<DeviceBuffer>();
  readonly #holds = new Holds();

  constructor(source: Source, ledger: Ledger, poison: boolean) {
    this.source = source;
    this.#ledger = ledger;
    this.#poison = poison;
  }

  /** Buffers that were allocated and not freed. */
  get liveBuffers(): number {
    return this.#live.size;
  }

  /** A buffer of `byteLength` bytes whose contents are undefined. The ledger counts the bytes asked for. */
  allocate(byteLength: number, category: Category): DeviceBuffer {
    if (!Number.isSafeInteger(byteLength) || byteLength < 0) {
      throw new OptionError(`allocate: the length must be a whole number of bytes, at least 0; got ${byteLength}.`);
    }
    const block = this.#take(byteLength, category);
    const buffer: DeviceBuffer = Object.freeze({ address: block.address, byteLength, category });
    this.#live.set(buffer, block);
    this.#ledger.add(category, byteLength);
    return buffer;
  }

  /** A fixed block of the device's own, held until it is disposed and outside the ledger: keep it to a few KiB. */
  protected reserved(byteLength: number): Block {
    return this.#take(byteLength, 'workspace');
  }

  free(buffer: DeviceBuffer): void {
    const block = this.block(buffer, 'free');
    this.#live.delete(buffer);
    this.#freed.add(buffer);
    this.#ledger.remove(buffer.category, buffer.byteLength);
    if (this.#holds.keeps(block, buffer.byteLength)) this.#ledger.add('workspace', buffer.byteLength);
    else this.#give(block);
  }

  /** From now on all blocks that are taken, or asked for by `block`, stay where they are until `letGo` of the same holder. */
  beginHolding(holder: Holder): void {
    this.#holds.begin(holder);
  }

  endHolding(): void {
    this.#holds.end();
  }

  letGo(holder: Holder): void {
    for (const [block, bytes] of this.#holds.release(holder)) {
      this.#ledger.remove('workspace', bytes);
      this.#give(block);
    }
  }

  #give(block: Block): void {
    if (this.#poison) this.source.fill(block, POISON);
    const free = this.source.allocator.give(block);
    if (coversRegion(free)) this.source.idle(free);
  }

  /** The block under a part of a buffer. @throws DeviceError for a part that is not inside. */
  part(buffer: DeviceBuffer, byteOffset: number, byteLength: number, who: string): Block {
    const block = this.block(buffer, who);
    if (!(byteOffset >= 0 && byteLength >= 0 && byteOffset + byteLength <= buffer.byteLength)) {
      throw new DeviceError(
        `${who}: bytes ${byteOffset} to ${byteOffset + byteLength} do not lie inside a buffer of ${buffer.byteLength}.`,
      );
    }
    return block;
  }

  /** The block under a live buffer. @throws DeviceError for a buffer that was freed or comes from elsewhere. */
  block(buffer: DeviceBuffer, who: string): Block {
    const block = this.#live.get(buffer);
    if (block) {
      this.#holds.hold(block);
      return block;
    }
    const what = `this buffer (${buffer.byteLength} bytes, ${buffer.category})`;
    throw new DeviceError(
      this.#freed.has(buffer)
        ? `${who}: ${what} was freed already; keep the tensor alive until its last use.`
        : `${who}: ${what} does not belong to this device; copy it over with read and write.`,
    );
  }

  dispose(): void {
    for (const buffer of this.#live.keys()) {
      this.#freed.add(buffer);
      this.#ledger.remove(buffer.category, buffer.byteLength);
    }
    this.#live.clear();
    this.source.dispose();
  }

  #take(byteLength: number, category: Category): Block {
    const { source } = this;
    const spare = this.#holds.reuse(alignUp(Math.max(1, byteLength)));
    if (spare) this.#ledger.remove('workspace', spare.bytes);
    let block = spare?.block ?? source.allocator.take(byteLength);
    if (!block && source.grow(alignUp(Math.max(1, byteLength)))) block = source.allocator.take(byteLength);
    if (!block) throw this.#outOfMemory(byteLength, category);
    this.#holds.take(block);
    if (this.#poison) source.fill(block, POISON);
    return block;
  }

  #outOfMemory(byteLength: number, category: Category): OutOfMemoryError {
    const { source } = this;
    const live = this.#ledger.live();
    const asked = `allocate: ${count(byteLength)} bytes asked (${category}), ${count(live)} bytes live, `;
    if (byteLength > LARGEST_BUFFER) {
      return new OutOfMemoryError(`${asked}${count(LARGEST_BUFFER)} bytes allowed in one buffer; split the tensor.`);
    }
    const pieces =
      live + byteLength <= source.limit && source.allocator.freeBytes >= byteLength
        ? ` The free bytes are in pieces; the largest has ${count(source.allocator.largest)}.`
        : '';
    return new OutOfMemoryError(
      `${asked}${count(source.limit)} bytes allowed by ${source.limitReason}.${pieces} ${source.remedy}`,
    );
  }
}

/** Memory that the host reads and writes in place. */
export class HostMemory extends Memory<HostSource> {
  /** A fixed block of the device's own, see `reserved`. */
  reserve(byteLength: number): { readonly address: number; readonly bytes: Uint8Array } {
    const block = this.reserved(byteLength);
    return { address: block.address, bytes: this.source.view(block, 0, block.length) };
  }

  /** The bytes themselves, not a copy. Valid until the buffer is freed. */
  bytes(buffer: DeviceBuffer, byteOffset: number, byteLength: number, who = 'bytes'): Uint8Array {
    return this.source.view(this.part(buffer, byteOffset, byteLength, who), byteOffset, byteLength);
  }
}

/** Sets the 32-bit words of bytes that the host sees. */
export function fillWords(bytes: Uint8Array, word: number): void {
  new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4).fill(word);
}
