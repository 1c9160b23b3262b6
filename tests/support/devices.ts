import { afterAll, afterEach, beforeAll, describe, expect } from 'vitest';
import { CapabilityError } from '../../src/core/errors.js';
import { createDevice, type CpuDevice, type DeviceOptions } from '../../src/devices/index.js';
import { leakedTensors, liveTensors } from '../../src/tensor/index.js';

const kinds = ['wasm', 'native'] as const;
export type Kind = (typeof kinds)[number];

/** What a block of tests runs on: `device` is there once the tests run. */
export interface OnDevice {
  readonly kind: Kind;
  readonly device: CpuDevice;
}

async function open(kind: Kind, options: DeviceOptions): Promise<CpuDevice | undefined> {
  try {
    return await createDevice({ poison: true, threads: 2, ...options, kind });
  } catch (error) {
    // only a missing compiler or koffi excuses a device; a broken one must fail
    if (kind === 'native' && error instanceof CapabilityError) return undefined;
    throw error;
  }
}

// vitest collects synchronously inside `describe`, so what is there is found before
const available: Kind[] = [];
for (const kind of kinds) {
  const probe = await open(kind, { threads: 1 });
  if (probe) available.push(kind);
  await probe?.dispose();
}

/**
 * Declares the tests once for every device there is: WebAssembly always, native where a compiler is. Fresh memory is
 * poisoned with NaN. After each test no tensor and no byte may be left; on a machine without a compiler the native
 * block is reported as skipped.
 */
export function onEveryDevice(declare: (on: OnDevice) => void, options: DeviceOptions = {}): void {
  for (const kind of kinds) {
    const block = available.includes(kind) ? describe : describe.skip;
    block(kind, () => {
      let device: CpuDevice | undefined;
      beforeAll(async () => {
        device = await open(kind, options);
      });
      afterEach(() => {
        if (device) expectNoLeaks(device);
      });
      afterAll(async () => {
        await device?.dispose();
      });
      declare({
        kind,
        get device() {
          return device!;
        },
      });
    });
  }
}

/** Runs `body` on a device of its own with each number of threads, and returns the results in that order. */
export async function withThreads<T>(kind: Kind, threads: readonly number[], body: (device: CpuDevice) => Promise<T>): Promise<T[]> {
  const results: T[] = [];
  for (const count of threads) {
    const device = (await open(kind, { threads: count }))!;
    try {
      results.push(await body(device));
      expectNoLeaks(device);
    } finally {
      await device.dispose();
    }
  }
  return results;
}

export function expectNoLeaks(device: CpuDevice): void {
  expect(liveTensors(), 'tensors created and not disposed').toBe(0);
  expect(leakedTensors(), 'tensors left to the garbage collector').toBe(0);
  expect(device.ledger.live(), 'bytes held on the device').toBe(0);
}
