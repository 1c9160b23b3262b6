import type { Kernel } from '../codegen/kernel.js';
import type { Category, Ledger } from './ledger.js';

/** A block of device memory. `address` is meaningful to the device only. */
export interface DeviceBuffer {
  readonly address: number;
  readonly byteLength: number;
  readonly category: Category;
}

/** A kernel argument: a buffer (from `byteOffset`), or a number for `i32` and `f32` parameters. */
export type KernelArgument = DeviceBuffer | { readonly buffer: DeviceBuffer; readonly byteOffset: number } | number;

export interface RunOptions {
  /** Bytes of private workspace each thread gets; counted in the ledger while the kernel runs. */
  readonly scratchBytes?: number;
  /** Tasks handed out at a time; default 1. */
  readonly grain?: number;
}

/** A step of a computation that was noted while it ran. */
export interface Recording {
  /**
   * Does the same again on the same memory: kernels with the same arguments, writes of the same bytes, checks of `guard`. What the host
   * wrote since to buffers that were there before the step is what kernels find.
   */
  replay(): void;
  /** Gives back the memory that the step took beside what is alive. Idempotent. */
  dispose(): void;
}

/** What kernels did since the last reset. Kernel launchers add to it; nothing is sampled. */
export interface Counters {
  dispatches: number;
  multiplyAdds: number;
  bytesMoved: number;
  /** Multiply-adds beyond what masks need, in tiles that are seen in part; counted in rehearsals only. */
  wastedMultiplyAdds?: number;
}

export interface DeviceInfo {
  readonly kind: 'native' | 'wasm' | 'webgpu' | 'rehearsal';
  /** Whether it takes texts for GPUs, and work cut for them: as a rehearsal for a GPU does. */
  readonly gpu: boolean;
  /** Of the processor; on a GPU, workgroups or invocations that have a workspace each. */
  readonly threads: number;
  /** f32 lanes of one vector register in the generated code. */
  readonly width: number;
  readonly fusedMultiplyAdd: boolean;
  /** Why this device was chosen, and why faster ones were not. One sentence each. */
  readonly reasons: readonly string[];
  readonly compiler?: string;
  readonly memoryLimit?: number;
}

/** What a rehearsal has to know of the device that it is for: its `info`, or these. */
export type DeviceLike = Pick<DeviceInfo, 'width' | 'threads'> & Partial<Pick<DeviceInfo, 'gpu'>>;

/**
 * The machine under tensors: memory and kernels, nothing else.
 *
 * Calls are ordered: a kernel sees what earlier calls wrote. On a CPU device `run` returns when the work is done.
 */
export interface Device {
  readonly info: DeviceInfo;
  readonly ledger: Ledger;
  readonly counters: Counters;
  /** @throws OutOfMemoryError naming the bytes asked, live and allowed. */
  allocate(byteLength: number, category: Category): DeviceBuffer;
  free(buffer: DeviceBuffer): void;
  write(buffer: DeviceBuffer, data: ArrayBufferView, byteOffset?: number): void;
  /** A copy of the bytes, taken after all earlier work. */
  read(buffer: DeviceBuffer, byteOffset?: number, byteLength?: number): Promise<Uint8Array>;
  /** Runs tasks `0 … tasks-1`; any thread may take any task, so tasks must not depend on each other. */
  run(kernel: Kernel, args: readonly KernelArgument[], tasks: number, options?: RunOptions): void;
  /**
   * Compiles kernels ahead of their first `run`; natively as many at a time as there are processors, in the background. Which ones a
   * computation takes, `RehearsalDevice.kernels` tells.
   */
  compileAll(kernels: readonly Kernel[]): Promise<void>;
  /**
   * Has `check` look at what earlier work left in a buffer: at once where `run` returns with the work done, else before the next
   * `read` or `synchronise` resolves. What `check` throws is then thrown here, or what that call rejects with. The buffer may be
   * freed at once; the bytes are the device's own, valid within `check`.
   */
  guard(buffer: DeviceBuffer, check: (bytes: Uint8Array) => void): void;
  synchronise(): Promise<void>;
  /**
   * Runs `body` and notes the kernels that it runs, so that they may run again without the host working anything out anew: the body
   * must take nothing from numbers of the host that change from step to step. Absent from a device that only runs what it is told.
   */
  record?(body: () => void): Recording;
  /** Stops the threads and returns the memory. Idempotent. */
  dispose(): Promise<void>;
}
