import { DeviceError } from '../../core/errors.js';
import { HEADER_WORDS, type GpuTarget, loadGpuModules } from '../../codegen/gpu.js';
import type { Kernel } from '../../codegen/kernel.js';
import { checkTasks, placeArguments } from '../arguments.js';
import type { Counters, Device, DeviceBuffer, DeviceInfo, KernelArgument, RunOptions } from '../device.js';
import { type Category, Ledger } from '../ledger.js';
import { alignUp } from '../memory/allocator.js';
import { Memory } from '../memory/memory.js';
import type { GpuDevice } from './api.js';
import { Arena } from './arena.js';
import { Commands } from './commands.js';
import { FILL_WORDS, fillWords, mergeWord } from './own-kernels.js';
import { type Compiled, Pipelines } from './pipelines.js';

/** Workgroups of a dispatch in one dimension, on every GPU. */
const MOST_GROUPS = 65535;
/** Bytes of all workspaces of a call, beyond which fewer are in flight. */
const MOST_SCRATCH = 64 * 2 ** 20;

export interface WebGpuParts {
  readonly gpu: GpuDevice;
  readonly target: GpuTarget;
  readonly reasons: readonly string[];
  /** Takers of tasks in flight, workgroups or invocations, where each has a workspace. */
  readonly takers: number;
  readonly memoryLimit?: number;
  readonly poison?: boolean;
  /** Whether the device goes with this one. */
  readonly owned: boolean;
  /** What must stay reachable as long as the device is used: Dawn in Node frees itself under it otherwise. */
  readonly keep?: unknown;
}

/** Kernels on a GPU, over one arena. Made by `createDevice`. */
export class WebGpuDevice implements Device {
  readonly info: DeviceInfo;
  readonly ledger = new Ledger();
  readonly counters: Counters = { dispatches: 0, multiplyAdds: 0, bytesMoved: 0 };
  readonly target: GpuTarget;
  readonly #gpu: GpuDevice;
  readonly #commands: Commands;
  readonly #pipelines: Pipelines;
  readonly #memory: Memory<Arena>;
  readonly #owned: boolean;
  readonly #keep: unknown[];
  #checks: Promise<void>[] = [];
  #lost: string | undefined;
  #disposed = false;

  constructor({ gpu, target, takers, reasons, memoryLimit, poison = false, owned, keep }: WebGpuParts) {
    this.#gpu = gpu;
    this.#owned = owned;
    this.#keep = [keep];
    this.target = target;
    this.#commands = new Commands(gpu);
    this.#pipelines = new Pipelines(gpu, this.#commands, target);
    const arena = new Arena(
      gpu,
      {
        bind: (buffer) => this.#commands.bind(buffer),
        fill: (address, byteLength, word) => this.#fill(address, byteLength, word),
        guard: (body) => this.#commands.guard(body, (message) => new DeviceError(`webgpu: no arena: ${message}`)),
      },
      memoryLimit,
    );
    this.#memory = new Memory(arena, this.ledger, poison);
    this.info = {
      kind: 'webgpu',
      gpu: true,
      threads: takers,
      width: target.width,
      fusedMultiplyAdd: false,
      reasons,
      memoryLimit: arena.limit,
    };
    void gpu.lost.then(({ reason, message }) => {
      if (this.#disposed) return;
      this.#lost = `the GPU was lost (${reason}${message ? `: ${message.trim().split('\n')[0]}` : ''})`;
    });
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
    this.#assertUsable('write');
    const block = this.#memory.part(buffer, byteOffset, data.byteLength, 'write');
    if (data.byteLength === 0) return;
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    const begin = block.address + byteOffset;
    const end = begin + bytes.length;
    // whole words go as they are, ragged ends by a kernel that leaves their neighbours
    const [first, last] = [Math.ceil(begin / 4) * 4, Math.floor(end / 4) * 4];
    if (last > first) this.#commands.write(first, bytes.subarray(first - begin, last - begin));
    if (first > begin) this.#merge(begin, bytes.subarray(0, Math.min(first, end) - begin));
    if (end > last && last >= first) this.#merge(last, bytes.subarray(last - begin));
  }

  async read(buffer: DeviceBuffer, byteOffset = 0, byteLength = buffer.byteLength - byteOffset): Promise<Uint8Array> {
    this.#assertUsable('read');
    const block = this.#memory.part(buffer, byteOffset, byteLength, 'read');
    const bytes = byteLength === 0 ? new Uint8Array() : await this.#fetch(block.address + byteOffset, byteLength);
    await this.#settle('read');
    return bytes;
  }

  run(kernel: Kernel, args: readonly KernelArgument[], tasks: number, options?: RunOptions): void {
    this.#assertUsable(kernel.name);
    checkTasks(kernel, tasks, options?.grain ?? 1);
    const program = this.#pipelines.of(kernel);
    const words = this.#words(kernel, args);
    const count =
      program.text.tasks?.(
        tasks,
        args.map((arg) => (typeof arg === 'number' ? arg : 0)),
      ) ?? tasks;
    this.counters.dispatches++;
    const scratchStride = program.scratch ? alignUp(options?.scratchBytes ?? 0) : 0;
    if (scratchStride === 0) return this.#dispatch(program, words, count, count, 0, 0);
    const most = Math.max(1, Math.floor(MOST_SCRATCH / scratchStride));
    const takers = Math.min(count, this.info.threads, most);
    const scratch = this.#memory.allocate(scratchStride * takers, 'workspace');
    try {
      const { address } = this.#memory.block(scratch, kernel.name);
      this.#dispatch(program, words, count, takers, address, scratchStride);
    } finally {
      this.#memory.free(scratch);
    }
  }

  async compileAll(kernels: readonly Kernel[]): Promise<void> {
    this.#assertUsable('compileAll');
    await loadGpuModules();
    await this.#pipelines.warm(kernels);
  }

  guard(buffer: DeviceBuffer, check: (bytes: Uint8Array) => void): void {
    this.#assertUsable('guard');
    const { address } = this.#memory.block(buffer, 'guard');
    if (buffer.byteLength === 0) return check(new Uint8Array());
    const checked = this.#fetch(address, buffer.byteLength).then(check);
    // whoever awaits next is told
    checked.catch(() => {});
    this.#checks.push(checked);
  }

  async synchronise(): Promise<void> {
    this.#assertUsable('synchronise');
    this.#commands.flush();
    await Promise.all([this.#gpu.queue.onSubmittedWorkDone(), loadGpuModules()]);
    await this.#settle('synchronise');
  }

  async dispose(): Promise<void> {
    if (this.#disposed) return;
    this.#disposed = true;
    await this.#commands.dispose();
    this.#memory.dispose();
    if (this.#owned) {
      this.#gpu.destroy();
      await this.#gpu.lost;
    }
    // last: whatever runs on the GPU is over
    this.#keep.length = 0;
  }

  /** Waits for all checks and for what the GPU says; the first error is thrown. */
  async #settle(who: string): Promise<void> {
    const checks = this.#checks;
    this.#checks = [];
    const results = await Promise.allSettled(checks);
    await this.#commands.settle();
    this.#assertUsable(who);
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  }

  async #fetch(address: number, byteLength: number): Promise<Uint8Array> {
    const begin = address - (address % 4);
    try {
      const bytes = await this.#commands.fetch(begin, Math.ceil((address + byteLength) / 4) * 4);
      return begin === address && bytes.length === byteLength
        ? bytes
        : bytes.slice(address - begin, address - begin + byteLength);
    } catch (error) {
      // let the loss be known first, which says more
      await Promise.resolve();
      this.#assertUsable('read');
      throw (
        this.#commands.failure ?? new DeviceError(`read: the GPU gave nothing back: ${String(error)}`, { cause: error })
      );
    }
  }

  #dispatch(
    program: Compiled,
    args: Uint32Array,
    tasks: number,
    takers: number,
    scratch: number,
    scratchStride: number,
  ): void {
    if (tasks === 0) return;
    const { tasksOf, workgroupSize } = program.text;
    const groups = tasksOf === 'invocation' ? Math.ceil(takers / workgroupSize) : takers;
    const x = Math.min(groups, MOST_GROUPS);
    this.#commands.dispatch(program.pipeline, HEADER_WORDS + args.length, [x, Math.ceil(groups / x)], (words) => {
      words.set([tasks, scratch, scratchStride, takers]);
      words.set(args, HEADER_WORDS);
    });
  }

  #fill(address: number, byteLength: number, word: number): void {
    const words = byteLength / 4;
    const args = Uint32Array.of(address / 4, words, word);
    const tasks = Math.ceil(words / FILL_WORDS);
    this.#dispatch(this.#pipelines.of(fillWords), args, tasks, tasks, 0, 0);
  }

  /** Writes at most 3 bytes within one word. */
  #merge(address: number, bytes: Uint8Array): void {
    const shift = 8 * (address % 4);
    let [mask, word] = [0, 0];
    bytes.forEach((byte, i) => {
      mask |= 0xff << (shift + 8 * i);
      word |= byte << (shift + 8 * i);
    });
    this.#dispatch(this.#pipelines.of(mergeWord), Uint32Array.of(Math.floor(address / 4), mask, word), 1, 1, 0, 0);
  }

  #assertUsable(who: string): void {
    if (this.#disposed) throw new DeviceError(`${who}: the device was disposed; create a new one with createDevice.`);
    if (this.#lost !== undefined) {
      throw new DeviceError(
        `${who}: ${this.#lost}; what it held is gone. Create a new device with createDevice, and go on from the last checkpoint.`,
      );
    }
    if (this.#commands.failure) throw this.#commands.failure;
  }

  /** Arguments as the words of the uniform buffer. */
  #words(kernel: Kernel, args: readonly KernelArgument[]): Uint32Array {
    const words = new Uint32Array(args.length);
    const floats = new Float32Array(words.buffer);
    placeArguments(kernel, args, this.#memory, (i, kind, value) => {
      if (kind === 'f32') floats[i] = value;
      else words[i] = value;
    });
    return words;
  }
}
