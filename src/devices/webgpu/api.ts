// The part of WebGPU that the device uses, by structure: the library's declarations then depend on no other package's, and what a
// browser, Dawn or Deno gives fits as it is.

export interface GpuLimits {
  readonly maxBufferSize: number;
  readonly maxStorageBufferBindingSize: number;
  readonly maxStorageBuffersPerShaderStage: number;
  readonly maxComputeWorkgroupStorageSize: number;
  readonly maxComputeInvocationsPerWorkgroup: number;
  readonly maxComputeWorkgroupSizeX: number;
  readonly maxComputeWorkgroupsPerDimension: number;
}

export interface GpuAdapterInfo {
  readonly vendor: string;
  readonly architecture: string;
  readonly device: string;
  readonly description: string;
  readonly subgroupMinSize?: number;
  readonly subgroupMaxSize?: number;
  readonly isFallbackAdapter?: boolean;
}

interface Features {
  has(feature: never): boolean;
}

export interface GpuBuffer {
  readonly size: number;
  mapAsync(mode: number, offset?: number, size?: number): Promise<unknown>;
  getMappedRange(offset?: number, size?: number): ArrayBuffer;
  unmap(): void;
  destroy(): void;
}

export interface GpuShaderModule {
  getCompilationInfo(): Promise<{
    readonly messages: readonly { readonly type: string; readonly message: string; readonly lineNum: number }[];
  }>;
}

/** What is handed back to WebGPU as it came. */
export type Opaque = object;

export interface GpuComputePass {
  setPipeline(pipeline: never): void;
  setBindGroup(index: number, group: never, offsets?: readonly number[]): void;
  dispatchWorkgroups(x: number, y?: number, z?: number): void;
  end(): void;
}

export interface GpuEncoder {
  beginComputePass(): GpuComputePass;
  copyBufferToBuffer(from: never, fromOffset: number, to: never, toOffset: number, size: number): void;
  finish(): Opaque;
}

export interface GpuQueue {
  writeBuffer(buffer: never, offset: number, data: ArrayBufferView, dataOffset?: number, size?: number): void;
  submit(commands: readonly never[]): void;
  onSubmittedWorkDone(): Promise<unknown>;
}

export interface GpuError {
  readonly message: string;
}

/** A `GPUDevice`. */
export interface GpuDevice {
  readonly limits: GpuLimits;
  readonly features: Features;
  readonly queue: GpuQueue;
  readonly lost: Promise<{ readonly reason: string; readonly message: string }>;
  readonly adapterInfo?: GpuAdapterInfo;
  createBuffer(descriptor: { size: number; usage: number; label?: string; mappedAtCreation?: boolean }): GpuBuffer;
  createShaderModule(descriptor: { code: string; label?: string }): GpuShaderModule;
  createBindGroupLayout(descriptor: never): Opaque;
  createPipelineLayout(descriptor: never): Opaque;
  createBindGroup(descriptor: never): Opaque;
  createComputePipeline(descriptor: never): Opaque;
  createComputePipelineAsync(descriptor: never): Promise<Opaque>;
  createCommandEncoder(): GpuEncoder;
  pushErrorScope(filter: 'validation' | 'out-of-memory' | 'internal'): void;
  popErrorScope(): Promise<GpuError | null>;
  destroy(): void;
}

/** A `GPUAdapter`. */
export interface GpuAdapter {
  readonly limits: GpuLimits;
  readonly features: Features;
  readonly info: GpuAdapterInfo;
  requestDevice(descriptor: never): Promise<GpuDevice>;
}

/** A `GPU`: what `navigator.gpu` is, and `create([])` of the npm package webgpu. */
export interface Gpu {
  requestAdapter(options?: never): Promise<GpuAdapter | null>;
}

/** `GPUBufferUsage` and `GPUMapMode`, which are globals in browsers only. */
export const USAGE = { mapRead: 1, mapWrite: 2, copyFrom: 4, copyTo: 8, uniform: 64, storage: 128 } as const;
export const MAP_READ = 1;
export const COMPUTE = 4;
