import { DeviceError, OutOfMemoryError } from '../../core/errors.js';
import {
  type GpuBuffer,
  type GpuComputePass,
  type GpuDevice,
  type GpuEncoder,
  type Opaque,
  COMPUTE,
  MAP_READ,
  USAGE,
} from './api.js';

/** Bytes of arguments that a dispatch binds: 512 and the header, in whole units of the offset's alignment. */
const ARGUMENT_BYTES = 2304;
const ARGUMENT_ALIGNMENT = 256;
/** Dispatches of a batch. A submit costs as much as several dispatches, and the GPU should not wait for long. */
const BATCH = 128;
const RING_BYTES = 256 * 1024;
/** What the host writes goes along with the batch up to this size, else it ends the batch. */
const UPLOAD_BYTES = 1024 * 1024;
const LARGEST_READ = 64 * 1024 * 1024;

const up = (bytes: number, to: number): number => Math.ceil(bytes / to) * to;

/** What is recorded for a GPU and not submitted, and what comes back from it: one encoder, one bind group, arguments by offset. */
export class Commands {
  readonly layout: Opaque;
  readonly #gpu: GpuDevice;
  readonly #groupLayout: Opaque;
  readonly #ring: GpuBuffer;
  readonly #words = new Uint32Array(RING_BYTES / 4);
  readonly #upload: GpuBuffer;
  readonly #bytes = new Uint8Array(UPLOAD_BYTES);
  readonly #staging = new Map<number, GpuBuffer[]>();
  readonly #pending = new Set<Promise<void>>();
  #arena: GpuBuffer | undefined;
  #group: Opaque | undefined;
  #encoder: GpuEncoder | undefined;
  #pass: GpuComputePass | undefined;
  #pipeline: Opaque | undefined;
  #ringAt = 0;
  #uploadAt = 0;
  #dispatches = 0;
  /** Buffers that commands of the batch use and nobody after it. */
  #outgrown: GpuBuffer[] = [];
  #calls = 0;
  #failure: { readonly error: Error; readonly call: number } | undefined;
  submits = 0;

  constructor(gpu: GpuDevice) {
    this.#gpu = gpu;
    this.#groupLayout = gpu.createBindGroupLayout({
      entries: [
        { binding: 0, visibility: COMPUTE, buffer: { type: 'storage' } },
        { binding: 1, visibility: COMPUTE, buffer: { type: 'uniform', hasDynamicOffset: true } },
      ],
    } as never);
    this.layout = gpu.createPipelineLayout({ bindGroupLayouts: [this.#groupLayout] } as never);
    this.#ring = gpu.createBuffer({
      label: 'arguments',
      size: RING_BYTES + ARGUMENT_BYTES,
      usage: USAGE.uniform | USAGE.copyTo,
    });
    this.#upload = gpu.createBuffer({ label: 'writes', size: UPLOAD_BYTES, usage: USAGE.copyFrom | USAGE.copyTo });
  }

  /** What went wrong on the GPU, if anything did: nothing that it gives is to be trusted then. */
  get failure(): Error | undefined {
    return this.#failure?.error;
  }

  /** From here on `arena` is bound; what an earlier one holds is copied into it. */
  bind(arena: GpuBuffer): void {
    const before = this.#arena;
    if (before) {
      this.#outside().copyBufferToBuffer(before as never, 0, arena as never, 0, before.size);
      this.#outgrown.push(before);
    }
    this.#arena = arena;
    this.#group = this.#gpu.createBindGroup({
      layout: this.#groupLayout,
      entries: [
        { binding: 0, resource: { buffer: arena } },
        { binding: 1, resource: { buffer: this.#ring, offset: 0, size: ARGUMENT_BYTES } },
      ],
    } as never);
  }

  /** `fill` writes the words of the arguments, header first. */
  dispatch(
    pipeline: Opaque,
    words: number,
    groups: readonly [number, number],
    fill: (words: Uint32Array) => void,
  ): void {
    const bytes = up(4 * words, ARGUMENT_ALIGNMENT);
    if (this.#ringAt + bytes > RING_BYTES || this.#dispatches >= BATCH) this.flush();
    fill(this.#words.subarray(this.#ringAt / 4, this.#ringAt / 4 + words));
    this.#encoder ??= this.#gpu.createCommandEncoder();
    this.#pass ??= this.#encoder.beginComputePass();
    if (this.#pipeline !== pipeline) this.#pass.setPipeline(pipeline as never);
    this.#pipeline = pipeline;
    this.#pass.setBindGroup(0, this.#group as never, [this.#ringAt]);
    this.#pass.dispatchWorkgroups(...groups);
    this.#ringAt += bytes;
    this.#dispatches++;
  }

  /** Writes bytes, whole words at a multiple of 4, after all that was recorded. */
  write(address: number, bytes: Uint8Array): void {
    const arena = this.#arena as never;
    if (bytes.length > UPLOAD_BYTES / 4) {
      // the queue's own write overtakes what is recorded and not submitted
      this.flush();
      this.#guarded(() => this.#gpu.queue.writeBuffer(arena, address, bytes));
      return;
    }
    if (this.#uploadAt + bytes.length > UPLOAD_BYTES) this.flush();
    this.#bytes.set(bytes, this.#uploadAt);
    this.#outside().copyBufferToBuffer(this.#upload as never, this.#uploadAt, arena, address, bytes.length);
    this.#uploadAt += bytes.length;
  }

  /** The bytes as they are when all that was recorded is done. `begin` and `end` are multiples of 4. */
  async fetch(begin: number, end: number): Promise<Uint8Array> {
    const pieces: { readonly at: number; readonly length: number; readonly staging: GpuBuffer }[] = [];
    for (let at = begin; at < end; at += LARGEST_READ) {
      const length = Math.min(LARGEST_READ, end - at);
      const staging = this.#takeStaging(length);
      this.#outside().copyBufferToBuffer(this.#arena as never, at, staging as never, 0, length);
      pieces.push({ at: at - begin, length, staging });
    }
    this.flush();
    const out = new Uint8Array(end - begin);
    await Promise.all(
      pieces.map(async ({ at, length, staging }) => {
        await staging.mapAsync(MAP_READ, 0, length);
        out.set(new Uint8Array(staging.getMappedRange(0, length)), at);
        staging.unmap();
        this.#staging.get(staging.size)!.push(staging);
      }),
    );
    return out;
  }

  /** Hands what was recorded to the GPU. */
  flush(): void {
    const encoder = this.#encoder;
    if (!encoder) return;
    this.#endPass();
    const { queue } = this.#gpu;
    this.#guarded(() => {
      if (this.#ringAt > 0) queue.writeBuffer(this.#ring as never, 0, this.#words, 0, this.#ringAt / 4);
      if (this.#uploadAt > 0) queue.writeBuffer(this.#upload as never, 0, this.#bytes, 0, this.#uploadAt);
      queue.submit([encoder.finish() as never]);
    });
    this.submits++;
    for (const buffer of this.#outgrown) buffer.destroy();
    this.#outgrown = [];
    this.#encoder = undefined;
    this.#ringAt = this.#uploadAt = this.#dispatches = 0;
  }

  /** Runs `body` so that what WebGPU finds wrong in it becomes the failure of this device. */
  guard<T>(body: () => T, explain: (message: string) => Promise<Error> | Error): T {
    const call = this.#calls++;
    this.#gpu.pushErrorScope('validation');
    this.#gpu.pushErrorScope('out-of-memory');
    try {
      return body();
    } finally {
      const memory = this.#gpu.popErrorScope();
      const validation = this.#gpu.popErrorScope();
      this.#watch(
        memory.then((error) => {
          if (error) this.#fail(new OutOfMemoryError(`webgpu: the GPU ran out of memory: ${error.message}`), call);
        }),
        call,
      );
      this.#watch(
        validation.then(async (error) => {
          if (error) this.#fail(await explain(error.message), call);
        }),
        call,
      );
    }
  }

  /** Waits for what the GPU says about all calls so far. @throws what went wrong. */
  async settle(): Promise<void> {
    await Promise.all(this.#pending);
    if (this.#failure) throw this.#failure.error;
  }

  /** Gives all buffers back; what the GPU has still to say is waited for, or Dawn ends a process that exits meanwhile. */
  async dispose(): Promise<void> {
    await Promise.all(this.#pending);
    this.#pass = this.#encoder = undefined;
    for (const buffer of [this.#ring, this.#upload, ...this.#outgrown]) buffer.destroy();
    for (const list of this.#staging.values()) for (const buffer of list) buffer.destroy();
  }

  #guarded(body: () => void): void {
    this.guard(body, (message) => new DeviceError(`webgpu: the GPU refused a batch: ${message}`));
  }

  /** Of several failures the first call's counts: later ones follow from it. */
  #fail(error: Error, call: number): void {
    if (this.#failure === undefined || call < this.#failure.call) this.#failure = { error, call };
  }

  #watch(promise: Promise<void>, call: number): void {
    const watched = promise.catch((error: unknown) => {
      this.#fail(new DeviceError(`webgpu: ${String(error)}`, { cause: error }), call);
    });
    this.#pending.add(watched);
    void watched.then(() => this.#pending.delete(watched));
  }

  /** The encoder, outside of a pass. */
  #outside(): GpuEncoder {
    this.#endPass();
    return (this.#encoder ??= this.#gpu.createCommandEncoder());
  }

  #endPass(): void {
    this.#pass?.end();
    this.#pass = this.#pipeline = undefined;
  }

  #takeStaging(length: number): GpuBuffer {
    const size = Math.max(256, 2 ** Math.ceil(Math.log2(length)));
    const list = this.#staging.get(size) ?? [];
    this.#staging.set(size, list);
    return list.pop() ?? this.#gpu.createBuffer({ label: 'reads', size, usage: USAGE.mapRead | USAGE.copyTo });
  }
}
