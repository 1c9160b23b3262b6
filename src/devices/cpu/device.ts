import { memoised } from '../../core/memo.js';
import { DeviceError } from '../../core/errors.js';
import { identityOf, type Kernel } from '../../codegen/kernel.js';
import { checkTasks, MAX_PARAMETERS, placeArguments } from '../arguments.js';
import type { Counters, Device, DeviceBuffer, DeviceInfo, KernelArgument, Recording, RunOptions } from '../device.js';
import { type Category, Ledger } from '../ledger.js';
import { alignUp } from '../memory/allocator.js';
import type { Backend } from './backend.js';
import { HostMemory } from '../memory/memory.js';
import { Pool, type CompiledKernel } from './pool.js';
import { Recorder } from './recorder.js';

const TWO_32 = 2 ** 32;

/** Native or WebAssembly programs over shared memory and a thread pool. Made by `createDevice`. */
export class CpuDevice implements Device {
  readonly info: DeviceInfo;
  readonly ledger = new Ledger();
  readonly counters: Counters = { dispatches: 0, multiplyAdds: 0, bytesMoved: 0 };
  readonly #backend: Backend;
  readonly #memory: HostMemory;
  readonly #pool: Pool;
  readonly #words: Uint32Array;
  readonly #floats: Float32Array;
  /** Kernels are found by identity, other objects for the same program by its name. */
  readonly #program = memoised((kernel: Kernel) => this.#load(kernel));
  readonly #load = memoised((kernel: Kernel): CompiledKernel => this.#backend.load(kernel), {
    by: (kernel) => [identityOf(kernel)],
  });
  #disposed = false;
  #recorder: Recorder | undefined;

  private constructor(backend: Backend, threads: number, reasons: readonly string[], poison: boolean) {
    this.#backend = backend;
    this.#memory = new HostMemory(backend.source, this.ledger, poison);
    const slots = this.#memory.reserve(8 * MAX_PARAMETERS);
    this.#words = new Uint32Array(slots.bytes.buffer, slots.bytes.byteOffset, 2 * MAX_PARAMETERS);
    this.#floats = new Float32Array(slots.bytes.buffer, slots.bytes.byteOffset, 2 * MAX_PARAMETERS);
    this.#pool = new Pool(threads, slots.address);
    this.info = {
      kind: backend.kind,
      gpu: false,
      threads,
      width: backend.width,
      fusedMultiplyAdd: backend.fusedMultiplyAdd,
      reasons: [...reasons, ...backend.reasons],
      ...(backend.compiler === undefined ? {} : { compiler: backend.compiler }),
      memoryLimit: backend.source.limit,
    };
  }

  static async start(
    backend: Backend,
    threads: number,
    reasons: readonly string[],
    poison: boolean,
  ): Promise<CpuDevice> {
    const device = new CpuDevice(backend, threads, reasons, poison);
    try {
      await device.#pool.start(backend.workerCode);
      return device;
    } catch (error) {
      await device.dispose();
      throw error;
    }
  }

  allocate(byteLength: number, category: Category): DeviceBuffer {
    this.#assertUsable('allocate');
    return this.#memory.allocate(byteLength, category);
  }

  free(buffer: DeviceBuffer): void {
    // disposing of the device freed everything
    if (!this.#disposed) this.#memory.free(buffer);
  }

  write(buffer: DeviceBuffer, data: ArrayBufferView, byteOffset = 0): void {
    const target = this.#bytes(buffer, byteOffset, data.byteLength);
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    this.#recorder?.noteWrite(target, bytes);
    target.set(bytes);
  }

  read(buffer: DeviceBuffer, byteOffset?: number, byteLength?: number): Promise<Uint8Array> {
    try {
      return Promise.resolve(this.#bytes(buffer, byteOffset, byteLength).slice());
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** The device's own bytes, not a copy; valid until the buffer is freed. */
  #bytes(buffer: DeviceBuffer, byteOffset = 0, byteLength = buffer.byteLength - byteOffset): Uint8Array {
    this.#assertUsable('read or write');
    return this.#memory.bytes(buffer, byteOffset, byteLength);
  }

  run(kernel: Kernel, args: readonly KernelArgument[], tasks: number, options?: RunOptions): void {
    this.#assertUsable(kernel.name);
    const grain = options?.grain ?? 1;
    checkTasks(kernel, tasks, grain);
    const program = this.#program(kernel);
    this.#writeArguments(kernel, args);
    this.counters.dispatches++;
    const scratchStride = alignUp(options?.scratchBytes ?? 0);
    const work = { scratch: 0, scratchStride, tasks, grain };
    const start = (own: typeof work): void => {
      this.#recorder?.noteRun(program, args.length, own);
      this.#pool.run(program, own);
    };
    if (scratchStride === 0) return start(work);
    const threads = tasks <= grain ? 1 : this.info.threads;
    const scratch = this.#memory.allocate(scratchStride * threads, 'workspace');
    try {
      start({ ...work, scratch: this.#memory.block(scratch, kernel.name).address });
    } finally {
      this.#memory.free(scratch);
    }
  }

  compileAll(kernels: readonly Kernel[]): Promise<void> {
    this.#assertUsable('compileAll');
    return this.#backend.warm(kernels);
  }

  guard(buffer: DeviceBuffer, check: (bytes: Uint8Array) => void): void {
    const bytes = this.#bytes(buffer);
    this.#recorder?.noteCheck(() => check(bytes));
    check(bytes);
  }

  record(body: () => void): Recording {
    this.#assertUsable('record');
    if (this.#recorder) throw new DeviceError('record: another step is being recorded; end that one first.');
    const recorder = new Recorder({
      memory: this.#memory,
      pool: this.#pool,
      words: this.#words,
      counted: (dispatches) => {
        this.#assertUsable('replay');
        this.counters.dispatches += dispatches;
      },
    });
    this.#recorder = recorder;
    try {
      body();
      return recorder;
    } catch (error) {
      recorder.dispose();
      throw error;
    } finally {
      this.#recorder = undefined;
      recorder.end();
    }
  }

  synchronise(): Promise<void> {
    return Promise.resolve();
  }

  async dispose(): Promise<void> {
    if (this.#disposed) return;
    this.#disposed = true;
    await this.#pool.dispose();
    this.#memory.dispose();
    this.#backend.dispose();
  }

  #assertUsable(who: string): void {
    if (this.#disposed) throw new DeviceError(`${who}: the device was disposed; create a new one with createDevice.`);
  }

  /** Fills the parameter slots: 8 bytes each, little-endian. */
  #writeArguments(kernel: Kernel, args: readonly KernelArgument[]): void {
    placeArguments(kernel, args, this.#memory, (i, kind, value) => {
      if (kind === 'f32') this.#floats[2 * i] = value;
      else this.#words[2 * i] = value % TWO_32;
      this.#words[2 * i + 1] =
        kind === 'pointer' ? Math.floor(value / TWO_32) : kind === 'i32' && value < 0 ? 0xffffffff : 0;
    });
  }
}
