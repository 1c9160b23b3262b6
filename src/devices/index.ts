import { CapabilityError, checkOptions, OptionError } from '../core/errors.js';
import { isNode } from '../core/node.js';
import type { Backend } from './cpu/backend.js';
import { MAX_THREADS } from './cpu/control.js';
import { CpuDevice } from './cpu/device.js';
import { parallelism } from './cpu/host.js';
import { WorkerError } from './cpu/pool.js';
import { WasmBackend } from './cpu/wasm.js';
import type { Device } from './device.js';

export type { Counters, Device, DeviceBuffer, DeviceInfo, KernelArgument, RunOptions } from './device.js';
export { type Category, Ledger } from './ledger.js';
export { RehearsalDevice, type KernelWork, type RehearsalOptions } from './rehearsal.js';

export interface DeviceOptions {
  /** `'auto'` (default) is native where a C compiler and the package koffi are there, else WebAssembly. */
  readonly kind?: 'auto' | 'native' | 'wasm';
  /** Whole number from 1 to 256, the calling thread included; default: as many as the machine offers. */
  readonly threads?: number;
  /** Bytes the device may reserve; default: what the machine, or WebAssembly, allows. */
  readonly memoryLimit?: number;
  /** Fill fresh and freed memory with NaN, so that a read of either is noticed. For tests; default false. */
  readonly poison?: boolean;
  /** Where compiled kernels are kept; default: `subquad` in the user's own cache folder. */
  readonly cacheFolder?: string;
}

const KINDS = ['auto', 'native', 'wasm'] as const;
const OPTIONS = ['kind', 'threads', 'memoryLimit', 'poison', 'cacheFolder'];

/**
 * A CPU device. `info.reasons` says why it is the kind it is.
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
  checkOptions('createDevice', options, OPTIONS);
  const { kind = 'auto', memoryLimit, poison = false } = options;
  if (!KINDS.includes(kind)) {
    throw new OptionError(`createDevice: kind must be "auto", "native" or "wasm"; got ${JSON.stringify(kind)}.`);
  }
  if (memoryLimit !== undefined && !(Number.isSafeInteger(memoryLimit) && memoryLimit >= 65536)) {
    throw new OptionError(
      `createDevice: memoryLimit must be a whole number of bytes, at least 65536; got ${memoryLimit}.`,
    );
  }
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
  if (!Number.isInteger(wanted) || wanted < 1 || wanted > MAX_THREADS) {
    throw new OptionError(
      `createDevice: threads must be a whole number from 1 to ${MAX_THREADS}, the calling thread included; got ${wanted}.`,
    );
  }
  if (wanted > 1 && !machine.parallel)
    throw new CapabilityError(`createDevice: ${wanted} threads asked; ${machine.reason}`);
  return [wanted, `threads: ${wanted}, as asked.`];
}

async function chooseBackend(
  kind: (typeof KINDS)[number],
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
