import { afterEach } from 'vitest';
import { createDevice, type Device, type DeviceOptions } from '../../../src/devices/index.js';
import type { Kernel } from '../../../src/codegen/kernel.js';

/** Elements of one task of `affine`. */
export const CHUNK = 64;

/** `y = a·x + b` over tasks of CHUNK elements; arguments x, y, a, b. `key` tells variants apart. */
export function affine(key = ''): Kernel {
  return {
    name: 'affine',
    key,
    parameters: ['pointer', 'pointer', 'f32', 'f32'],
    cpu: (k) => {
      const [x, y] = [k.parameter(0, 'pointer'), k.parameter(1, 'pointer')];
      const [a, b] = [k.splat(k.parameter(2, 'f32')), k.splat(k.parameter(3, 'f32'))];
      k.loop(k.begin, k.end, (task) => {
        const [from, to] = [k.offset(x, task, 4 * CHUNK), k.offset(y, task, 4 * CHUNK)];
        const body = (i: Parameters<Parameters<typeof k.loop>[2]>[0]): void =>
          k.store(k.offset(to, i, 4), k.fma(k.loadVF(k.offset(from, i, 4)), a, b));
        k.loop(0, CHUNK, body, k.width);
      });
    },
  };
}

/** Writes the sum of each task's numbers after a detour through the thread's scratch; arguments x, sums. */
export const sumThroughScratch: Kernel = {
  name: 'sum-through-scratch',
  key: '',
  parameters: ['pointer', 'pointer'],
  cpu: (k) => {
    const [x, sums] = [k.parameter(0, 'pointer'), k.parameter(1, 'pointer')];
    k.loop(k.begin, k.end, (task) => {
      const from = k.offset(x, task, 4 * CHUNK);
      k.loop(0, CHUNK, (i) => k.store(k.offset(k.scratch, i, 4), k.loadF32(k.offset(from, i, 4))));
      const sum = k.variable('f32', 0);
      k.loop(0, CHUNK, (i) => k.assign(sum, k.add(sum, k.loadF32(k.offset(k.scratch, i, 4)))));
      k.store(k.offset(sums, task, 4), sum);
    });
  },
};

/** Writes task / (task − bad): on WebAssembly the task `bad` traps. Arguments out, bad. */
export const traps: Kernel = {
  name: 'traps',
  key: '',
  parameters: ['pointer', 'i32'],
  cpu: (k) => {
    const [out, bad] = [k.parameter(0, 'pointer'), k.parameter(1, 'i32')];
    k.loop(k.begin, k.end, (task) => k.store(k.offset(out, task, 4), k.div(task, k.sub(task, bad))));
  },
};

const open = new Set<Device>();

/** A device that is disposed of after the test, whatever happens. */
export async function device(options: DeviceOptions): Promise<Device> {
  const made = await createDevice({ poison: true, ...options });
  open.add(made);
  return made;
}

afterEach(async () => {
  for (const made of open) await made.dispose();
  open.clear();
});

export interface NativeSupport {
  readonly available: boolean;
  /** Goes into the name of skipped tests, so that a report says why. */
  readonly reason: string;
}

/** Whether this machine can build and load native kernels. */
export async function nativeSupport(): Promise<NativeSupport> {
  const probe = await createDevice({ threads: 1 });
  await probe.dispose();
  const available = probe.info.kind === 'native';
  return { available, reason: available ? '' : ` — skipped: ${probe.info.reasons[0]}` };
}

export function floats(bytes: Uint8Array): Float32Array {
  return new Float32Array(bytes.slice().buffer);
}
