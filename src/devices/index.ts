import { CapabilityError, OptionError } from '../core/errors.js';
import { isNode } from '../core/node.js';
import { checkValues, flag, oneOf, text, type Requirements } from '../core/requirements.js';
import type { Backend } from './cpu/backend.js';
import { MAX_THREADS } from './cpu/control.js';
import { CpuDevice } from './cpu/device.js';
import { parallelism } from './cpu/host.js';
import { WorkerError } from './cpu/pool.js';
import { WasmBackend } from './cpu/wasm.js';
import type { Device } from './device.js';
import type { Gpu as OwnGpu, GpuDevice as OwnGpuDevice } from './webgpu/api.js';

export type {
  Counters,
  Device,
  DeviceBuffer,
  DeviceInfo,
  DeviceLike,
  KernelArgument,
  Recording,
  RunOptions,
} from './device.js';
export { type Category, Ledger } from './ledger.js';
export { RehearsalDevice, RehearsalTooLong, type KernelWork, type RehearsalOptions } from './rehearsal.js';

/** WebGPU's `GPU`, such as `navigator.gpu`: declarations here depend on no package of types. */
export interface Gpu {
  readonly requestAdapter: (options?: never) => Promise<unknown>;
}
/** WebGPU's `GPUDevice`. */
export interface GpuDevice {
  readonly limits: object;
  readonly features: object;
  readonly queue: object;
  readonly lost: Promise<unknown>;
}

export interface DeviceOptions {
  /**
   * `'auto'` (default) is native where a C compiler and the package koffi are there, else WebAssembly. `'webgpu'` takes a browser with
   * WebGPU, or in Node the package webgpu.
   */
  readonly kind?: 'auto' | 'native' | 'wasm' | 'webgpu';
  /** With `'webgpu'`: a `GPUDevice` of yours, which is used as it is and outlives this device, or a `GPU` other than the host's. */
  readonly gpu?: GpuDevice | Gpu;
  /** Of CPU devices: whole number from 1 to 256, the calling thread included; default: as many as the machine offers. */
  readonly threads?: number;
  /** Bytes the device may reserve; default: what the machine, or WebAssembly, allows. */
  readonly memoryLimit?: number;
  /** Fill fresh and freed memory with NaN, so that a read of either is noticed. For tests; default false. */
  readonly poison?: boolean;
  /** Where compiled kernels are kept; default: `subquad` in the user's own cache folder. */
  readonly cacheFolder?: string;
}

const KINDS = ['auto', 'native', 'wasm', 'webgpu'] as const;
const requirements: Requirements = {
  kind: oneOf(KINDS),
  threads: {
    must: `a whole number from 1 to ${MAX_THREADS}, the calling thread included`,
    holds: (count) => Number.isInteger(count) && (count as number) >= 1 && (count as number) <= MAX_THREADS,
  },
  memoryLimit: {
    must: 'a whole number of bytes, at least 65536',
    holds: (bytes) => Number.isSafeInteger(bytes) && (bytes as number) >= 65536,
  },
  gpu: {
    must: 'a GPUDevice or a GPU (navigator.gpu)',
    holds: (gpu) => typeof gpu === 'object' && gpu !== null && ('queue' in gpu || 'requestAdapter' in gpu),
  },
  poison: flag,
  cacheFolder: text,
};

/**
 * A device: threads of the processor, or a GPU. `info.reasons` says why it is the kind it is.
 *
 * @throws OptionError for an unknown option or a value outside its range.
 * @throws CapabilityError when the kind asked for cannot work here, with the remedy.
 *
 * @example
 * const device = await createDevice({ kind: 'wasm', threads: 1 });
 * device.info.width; // 4
 * await device.dispose();
 */
export async function createDevice(options: DeviceOptions = {}): Promise<Device> {
  checkValues('createDevice', options, requirements);
  const { kind = 'auto', poison = false } = options;
  if (kind === 'webgpu') {
    // who runs on the processor does not load it
    const { openWebGpu } = await import('./webgpu/open.js');
    return openWebGpu({ ...options, gpu: options.gpu as OwnGpu | OwnGpuDevice | undefined });
  }
  if (options.gpu !== undefined)
    throw new OptionError(`createDevice: gpu goes with kind "webgpu"; got kind "${kind}".`);
  const [threads, reason] = chooseThreads(options.threads);
  const [backend, why] = await chooseBackend(kind, options);
  try {
    return await CpuDevice.start(backend, threads, [...why, reason], poison);
  } catch (error) {
    // whoever asked for threads gets them or is refused
    if (options.threads !== undefined || !(error instanceof WorkerError)) throw error;
    const [again] = await chooseBackend(kind, options);
    return CpuDevice.start(again, 1, [...why, `threads: 1, because ${error.reason}.`], poison);
  }
}

function chooseThreads(wanted: number | undefined): [threads: number, reason: string] {
  const machine = parallelism();
  if (wanted === undefined) return [Math.min(machine.threads, MAX_THREADS), machine.reason];
  if (wanted > 1 && !machine.parallel)
    throw new CapabilityError(`createDevice: ${wanted} threads asked; ${machine.reason}`);
  return [wanted, `threads: ${wanted}, as asked.`];
}

async function chooseBackend(
  kind: Exclude<(typeof KINDS)[number], 'webgpu'>,
  options: DeviceOptions,
): Promise<[backend: Backend, reasons: string[]]> {
  if (kind === 'wasm') return [new WasmBackend(options.memoryLimit), ['WebAssembly, as asked.']];
  try {
    if (!isNode()) throw new CapabilityError('createDevice: kind "native": only Node can load native code.');
    // not at the top: a browser has none of the modules that this file imports; package.json maps it to nothing there
    const { NativeBackend } = await import('./cpu/native.js');
    return [await NativeBackend.open(options), kind === 'native' ? ['Native, as asked.'] : []];
  } catch (error) {
    if (kind === 'native' || !(error instanceof CapabilityError)) throw error;
    const reason = error.message.replace('createDevice: kind "native": ', '');
    return [new WasmBackend(options.memoryLimit), [`WebAssembly, not native: ${reason}`]];
  }
}
