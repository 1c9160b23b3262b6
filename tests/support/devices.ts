import { afterAll, afterEach, beforeAll, beforeEach, describe, expect } from 'vitest';
import { CapabilityError } from '../../src/core/errors.js';
import { createDevice, type Device, type DeviceOptions } from '../../src/devices/index.js';
import { isOfKernels } from './is-of-kernels.js';
import { QueueDevice } from './queue-device.js';
import { leakedTensors, liveTensors } from '../../src/tensor/index.js';
import { full } from './full.js';

/** What a device of any kind takes. */
type OpenOptions = Omit<DeviceOptions, 'gpu'>;

export type Kind = 'wasm' | 'native' | 'queue' | 'webgpu';
/**
 * `npm run test:queue` runs everything on a device that answers later, see `QueueDevice`; it has the texts of WebAssembly. `npm run
 * test:webgpu` does on WebGPU.
 */
const wanted = process.env['SUBQUAD_DEVICE'];
const kinds: readonly Kind[] = wanted === 'queue' || wanted === 'webgpu' ? [wanted] : ['wasm', 'native'];
/** Only then: it is Node's, and most files run in pages too. */
const webgpu = wanted === 'webgpu' ? await import('./webgpu.js') : undefined;

/** What a block of tests runs on: `device` is there once the tests run. */
export interface OnDevice {
  readonly kind: Kind;
  readonly device: Device;
}

/** In a page that is not isolated there is one thread. */
const most = (globalThis as { crossOriginIsolated?: boolean }).crossOriginIsolated === false ? 1 : Infinity;

/** What stands above the kernels waits less with one thread, and takes two in the full run. */
const usual = (): number => (full || isOfKernels(expect.getState().testPath ?? '') ? 2 : 1);

/** A device of a kind, poisoned; undefined where the machine has none. */
export async function openDevice(kind: Kind, options: OpenOptions = {}): Promise<Device | undefined> {
  if (kind === 'queue') return QueueDevice.open(options);
  if (kind === 'webgpu') {
    const device = await webgpu!.openWebGpuOrWhy(options);
    return typeof device === 'string' ? undefined : device;
  }
  const threads = Math.min(options.threads ?? usual(), most);
  try {
    return await createDevice({ poison: true, ...options, threads, kind });
  } catch (error) {
    // only a missing compiler or koffi excuses a device; a broken one must fail
    if (kind === 'native' && error instanceof CapabilityError) return undefined;
    throw error;
  }
}

// vitest collects synchronously inside `describe`, so what is there is found before
const available: Kind[] = [];
for (const kind of kinds) {
  const probe = await openDevice(kind, { threads: 1 });
  if (probe) available.push(kind);
  await probe?.dispose();
}

/**
 * Declares the tests once for every device there is: WebAssembly always, native where a compiler is. Fresh memory is
 * poisoned with NaN. After each test no tensor and no byte may be left; on a machine without a compiler the native
 * block is reported as skipped, and above the kernels in every run but the full one: their texts are those of WebAssembly,
 * and each takes a compiler half a second.
 */
export function onEveryDevice(declare: (on: OnDevice) => void, options: OpenOptions = {}): void {
  for (const kind of kinds) declareOn(kind, isRun(kind, isOfKernels), declare, options);
}

/** The same, but natively in the full run only, for tests of kernels too. */
export function onWebAssemblyFirst(declare: (on: OnDevice) => void): void {
  for (const kind of kinds)
    declareOn(
      kind,
      isRun(kind, () => false),
      declare,
      {},
    );
}

/** Whether there is a device of the kind, and this run has use for it; `natively` says in which files, if it is not the full one. */
function isRun(kind: Kind, natively: (path: string) => boolean): boolean {
  return available.includes(kind) && (kind !== 'native' || full || natively(expect.getState().testPath ?? ''));
}

function declareOn(kind: Kind, here: boolean, declare: (on: OnDevice) => void, options: OpenOptions): void {
  const block = here ? describe : describe.skip;
  block(kind === 'webgpu' ? `webgpu ${webgpu?.noWebGpu ?? ''}`.trim() : kind, () => {
    let device: Device | undefined;
    beforeAll(async () => {
      device = kind === 'webgpu' ? await webgpu!.sharedWebGpu(options) : await openDevice(kind, options);
    });
    // what an earlier, failed test left behind is not this test's fault
    let before = { tensors: 0, bytes: 0 };
    beforeEach(() => {
      if (device) before = held(device);
    });
    afterEach(() => {
      if (device) expectNoLeaks(device, before);
    });
    afterAll(async () => {
      if (kind !== 'webgpu') await device?.dispose();
    });
    declare({
      kind,
      get device() {
        return device!;
      },
    });
  });
}

/**
 * All cases, but natively the first `count` by default: a compiler takes a second for each kernel, and the texts are those of
 * WebAssembly. The full run has all.
 */
export const fewNatively = <T>(kind: Kind, cases: readonly T[], count = 2): readonly T[] =>
  kind === 'native' && !full ? cases.slice(0, count) : cases;

/** Runs `body` on a device of its own with each number of threads, and returns the results in that order. */
export async function withThreads<T>(
  kind: Kind,
  threads: readonly number[],
  body: (device: Device) => Promise<T>,
): Promise<T[]> {
  const results: T[] = [];
  const tensors = liveTensors() + leakedTensors();
  for (const count of threads) {
    const device = (await openDevice(kind, { threads: count }))!;
    try {
      results.push(await body(device));
      expectNoLeaks(device, { tensors, bytes: 0 });
    } finally {
      await device.dispose();
    }
  }
  return results;
}

/** How many tensors were made and not disposed from now on, whether or not the collector has found them. */
export function tensorsFromNow(): () => number {
  const count = (): number => liveTensors() + leakedTensors();
  const before = count();
  return () => count() - before;
}

interface Held {
  readonly tensors: number;
  readonly bytes: number;
}

/** Tensors that nobody disposed, whether or not the garbage collector has found them, and bytes on the device. */
export function held(device: Device): Held {
  return { tensors: liveTensors() + leakedTensors(), bytes: device.ledger.live() };
}

export function expectNoLeaks(device: Device, before: Held): void {
  const after = held(device);
  expect(after.tensors - before.tensors, 'tensors created and not disposed').toBe(0);
  // less than before: the collector found what an earlier test left
  expect(Math.max(0, after.bytes - before.bytes), 'bytes held on the device').toBe(0);
}
