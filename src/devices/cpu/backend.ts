import type { Kernel } from '../../codegen/kernel.js';
import type { HostSource } from '../memory/memory.js';
import type { CompiledKernel } from './pool.js';
import type { WorkerCode } from './worker.js';

/** What differs between the two CPU devices. WebAssembly and native programs are interchangeable above this line. */
export interface Backend {
  readonly kind: 'native' | 'wasm';
  /** f32 lanes of one vector register. */
  readonly width: number;
  readonly fusedMultiplyAdd: boolean;
  readonly reasons: readonly string[];
  readonly compiler?: string;
  readonly source: HostSource;
  readonly workerCode: WorkerCode;
  /** Renders, compiles and loads a kernel on the calling thread. */
  load(kernel: Kernel): CompiledKernel;
  /** Makes the `load` of these kernels quick, on all processors and in the background where it can. */
  warm(kernels: readonly Kernel[]): Promise<void>;
  dispose(): void;
}
