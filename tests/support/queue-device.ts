import type { Kernel } from '../../src/codegen/kernel.js';
import { createDevice, type DeviceOptions } from '../../src/devices/index.js';
import type {
  Counters,
  Device,
  DeviceBuffer,
  DeviceInfo,
  KernelArgument,
  RunOptions,
} from '../../src/devices/device.js';
import { Ledger, type Category } from '../../src/devices/ledger.js';

const ALIGNMENT = 64;

/**
 * A device that answers later, as a GPU does: it notes what it is asked and does it, in order and on WebAssembly, when something is
 * awaited. Memory that is freed stays what it was for work noted before, and fresh memory is poisoned. There is no way to read at once.
 */
export class QueueDevice implements Device {
  readonly ledger = new Ledger();
  readonly counters: Counters = { dispatches: 0, multiplyAdds: 0, bytesMoved: 0 };
  readonly info: DeviceInfo;
  readonly #below: Device;
  #noted: (() => void)[] = [];
  #failure: { readonly error: unknown } | undefined;
  #disposed = false;

  private constructor(below: Device) {
    this.#below = below;
    this.info = { ...below.info, reasons: ['Notes what it is asked, and does it when something is awaited.'] };
  }

  static async open(options: DeviceOptions = {}): Promise<QueueDevice> {
    return new QueueDevice(await createDevice({ threads: 2, ...options, kind: 'wasm', poison: true }));
  }

  /** How much was noted and not done. */
  get pending(): number {
    return this.#noted.length;
  }

  allocate(byteLength: number, category: Category): DeviceBuffer {
    const buffer = this.#take(byteLength, category);
    this.ledger.add(category, byteLength);
    return buffer;
  }

  free(buffer: DeviceBuffer): void {
    if (this.#disposed) return;
    this.ledger.remove(buffer.category, buffer.byteLength);
    this.#noted.push(() => this.#below.free(buffer));
  }

  write(buffer: DeviceBuffer, data: ArrayBufferView, byteOffset = 0): void {
    // the caller may change its array before this is done
    const copy = new Uint8Array(data.buffer, data.byteOffset, data.byteLength).slice();
    this.#noted.push(() => this.#below.write(buffer, copy, byteOffset));
  }

  async read(buffer: DeviceBuffer, byteOffset?: number, byteLength?: number): Promise<Uint8Array> {
    let bytes: Promise<Uint8Array> | undefined;
    // as it is now: what is noted while this is awaited comes after
    this.#noted.push(() => {
      bytes = this.#below.read(buffer, byteOffset, byteLength);
    });
    await this.synchronise();
    return bytes!;
  }

  run(kernel: Kernel, args: readonly KernelArgument[], tasks: number, options?: RunOptions): void {
    const own = [...args];
    this.counters.dispatches++;
    const scratch = Math.ceil((options?.scratchBytes ?? 0) / ALIGNMENT) * ALIGNMENT;
    const bytes = scratch * (tasks <= (options?.grain ?? 1) ? 1 : this.info.threads);
    this.ledger.add('workspace', bytes);
    this.ledger.remove('workspace', bytes);
    this.#noted.push(() => this.#below.run(kernel, own, tasks, options));
  }

  guard(buffer: DeviceBuffer, check: (bytes: Uint8Array) => void): void {
    this.#noted.push(() => this.#below.guard(buffer, check));
  }

  compileAll(kernels: readonly Kernel[]): Promise<void> {
    return this.#below.compileAll(kernels);
  }

  /** Does what was noted; rejects with the first error of a guard. */
  synchronise(): Promise<void> {
    this.#work();
    const failure = this.#failure;
    this.#failure = undefined;
    return failure === undefined ? this.#below.synchronise() : Promise.reject(failure.error);
  }

  /** Memory that was freed comes back when the work that may use it is done. */
  #take(byteLength: number, category: Category): DeviceBuffer {
    try {
      return this.#below.allocate(byteLength, category);
    } catch {
      this.#work();
      return this.#below.allocate(byteLength, category);
    }
  }

  #work(): void {
    const noted = this.#noted;
    this.#noted = [];
    for (const work of noted) {
      try {
        work();
      } catch (error) {
        this.#failure ??= { error };
      }
    }
  }

  async dispose(): Promise<void> {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#noted = [];
    await this.#below.dispose();
  }
}
