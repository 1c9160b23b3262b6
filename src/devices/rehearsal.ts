import { CapabilityError, OutOfMemoryError } from '../core/errors.js';
import { identityOf, type Kernel } from '../codegen/kernel.js';
import type { Counters, Device, DeviceBuffer, DeviceInfo, DeviceLike, KernelArgument, RunOptions } from './device.js';
import { type Category, Ledger } from './ledger.js';

/** What one kernel did in a rehearsal. */
export type KernelWork = Counters;

export interface RehearsalOptions {
  /** The device that is rehearsed for: tiles and workspaces follow its lanes and threads. */
  readonly like: DeviceLike;
  /** Default: none. */
  readonly memoryLimit?: number;
  /** Whether pairs that a mask needs are counted beside those that its tiles hold, which may take long; default true. */
  readonly countPairs?: boolean;
  /** Kernels after which the rehearsal ends with a RehearsalTooLong; default: no limit. */
  readonly mostDispatches?: number;
}

/** A rehearsal started more kernels than it was allowed. */
export class RehearsalTooLong extends CapabilityError {}

const alignment = 64;

/**
 * A device that counts and does not compute: memory is only added up, kernels are only noted. What runs on it runs at any length
 * in no time, and its ledger and counters then say what a real run will take. What is read back is 0.
 */
export class RehearsalDevice implements Device {
  readonly info: DeviceInfo;
  readonly ledger = new Ledger();
  readonly counters: Counters = { dispatches: 0, multiplyAdds: 0, bytesMoved: 0 };
  readonly #work = new Map<string, KernelWork>();
  readonly #kernels = new Map<string, Kernel>();
  readonly #limit: number;
  readonly #mostDispatches: number;
  #last: string | undefined;
  #before: Counters = { ...this.counters };
  #address = alignment;

  constructor({ like, memoryLimit = Infinity, countPairs = true, mostDispatches = Infinity }: RehearsalOptions) {
    this.#limit = memoryLimit;
    this.#mostDispatches = mostDispatches;
    if (countPairs) this.counters.wastedMultiplyAdds = 0;
    this.info = {
      kind: 'rehearsal',
      gpu: like.gpu ?? false,
      threads: like.threads,
      width: like.width,
      fusedMultiplyAdd: true,
      reasons: ['Counts what a run would take.'],
    };
  }

  allocate(byteLength: number, category: Category): DeviceBuffer {
    const size = Math.ceil(byteLength / alignment) * alignment;
    if (this.ledger.live() + size > this.#limit) {
      throw new OutOfMemoryError(
        `rehearsal: ${byteLength} bytes asked, ${this.ledger.live()} held, ${this.#limit} allowed.`,
      );
    }
    this.ledger.add(category, byteLength);
    const address = this.#address;
    this.#address += Math.max(size, alignment);
    return { address, byteLength, category };
  }

  free({ byteLength, category }: DeviceBuffer): void {
    this.ledger.remove(category, byteLength);
  }

  write(): void {}

  read(buffer: DeviceBuffer, byteOffset = 0, byteLength = buffer.byteLength - byteOffset): Promise<Uint8Array> {
    return Promise.resolve(new Uint8Array(byteLength));
  }

  compileAll(): Promise<void> {
    return Promise.resolve();
  }

  /** There is nothing to look at. */
  guard(): void {}

  run(kernel: Kernel, _args: readonly KernelArgument[], tasks: number, options: RunOptions = {}): void {
    this.#settle();
    this.#last = kernel.name;
    this.#kernels.set(identityOf(kernel), kernel);
    if (++this.counters.dispatches > this.#mostDispatches) {
      throw new RehearsalTooLong(`rehearsal: takes more than ${this.#mostDispatches} kernels.`);
    }
    const scratch = Math.ceil((options.scratchBytes ?? 0) / alignment) * alignment;
    const bytes = scratch * this.#takers(kernel, tasks, options.grain ?? 1);
    this.ledger.add('workspace', bytes);
    this.ledger.remove('workspace', bytes);
  }

  /** Who has a workspace of its own in such a call. */
  #takers(kernel: Kernel, tasks: number, grain: number): number {
    const { gpu, threads } = this.info;
    if (!gpu) return tasks <= grain ? 1 : threads;
    // texts of their own keep what they share in the memory of a workgroup
    return kernel.gpu === undefined ? Math.min(tasks, threads) : 0;
  }

  /** The kernels that ran so far, each once: for `compileAll` of the device that is rehearsed for. */
  get kernels(): readonly Kernel[] {
    return [...this.#kernels.values()];
  }

  /** What each kernel did so far, by name. */
  get work(): ReadonlyMap<string, Readonly<KernelWork>> {
    this.#settle();
    this.#last = undefined;
    return this.#work;
  }

  synchronise(): Promise<void> {
    return Promise.resolve();
  }

  dispose(): Promise<void> {
    return Promise.resolve();
  }

  /** Launchers count before or after they run a kernel: what was counted since the last one belongs to it. */
  #settle(): void {
    const { counters } = this;
    const name = this.#last;
    if (name !== undefined) {
      const own = this.#work.get(name) ?? { dispatches: 0, multiplyAdds: 0, bytesMoved: 0 };
      own.dispatches += counters.dispatches - this.#before.dispatches;
      own.multiplyAdds += counters.multiplyAdds - this.#before.multiplyAdds;
      own.bytesMoved += counters.bytesMoved - this.#before.bytesMoved;
      this.#work.set(name, own);
    }
    this.#before = { ...counters };
  }
}
