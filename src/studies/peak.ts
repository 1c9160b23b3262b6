import type { VF } from '../codegen/vector.js';
import type { Device, DeviceInfo, KernelArgument } from '../devices/device.js';
import type { Kernel } from '../codegen/kernel.js';
import { stopwatch } from './timing.js';

/** What the machine can do at most, in the code this device runs. */
export interface Peak {
  readonly device: DeviceInfo['kind'];
  readonly threads: number;
  /** Billions of multiplications and additions a second, all threads; a multiply-add is two. */
  readonly gflops: number;
  readonly gflopsOneThread: number;
  /** The same of one chain, each multiply-add of which waits for the one before: a second, independent estimate. */
  readonly gflopsOneChain: number;
  /** Billions of bytes a second read and written by a copy that no cache holds, all threads. */
  readonly gigabytesPerSecond: number;
}

// a multiply-add takes 4 cycles and two begin in each, so 8 chains saturate; 12 still leave registers for the operands
const CHAINS = 12;

/** Independent chains of multiply-adds on registers: x ← x·a + b, whose fixed point 1 is an ordinary number. */
const multiplyAdds = (chains: number): Kernel => ({
  name: 'measure_multiply_adds',
  key: `chains ${chains}`,
  parameters: ['pointer', 'i32', 'f32'],
  cpu(k) {
    const out = k.parameter(0, 'pointer');
    const rounds = k.parameter(1, 'i32');
    // not known to the compiler, which leaves out a chain that starts at its fixed point
    const first = k.splat(k.parameter(2, 'f32'));
    k.loop(k.begin, k.end, (task) => {
      const [a, b] = [k.constant('vf', 0.75), k.constant('vf', 0.25)];
      const all = Array.from({ length: chains }, (_, i) => k.variable('vf', k.add(first, i)));
      k.loop(0, rounds, () => {
        for (const x of all) k.assign(x, k.fma(x, a, b));
      });
      // read at the end, so that nothing can be left out
      const sum = all.reduce<VF>((left, x) => k.add(left, x), k.constant('vf', 0));
      k.store(k.offset(out, task, 4 * k.width), sum);
    });
  },
});
const manyChains = multiplyAdds(CHAINS);
const oneChain = multiplyAdds(1);

const CHUNK = 1 << 14;

const copy: Kernel = {
  name: 'measure_copy',
  key: `chunk ${CHUNK}`,
  parameters: ['pointer', 'pointer'],
  cpu(k) {
    const [from, to] = [k.parameter(0, 'pointer'), k.parameter(1, 'pointer')];
    k.loop(k.begin, k.end, (task) => {
      const [source, target] = [k.offset(from, task, 4 * CHUNK), k.offset(to, task, 4 * CHUNK)];
      k.loop(
        0,
        CHUNK,
        (i) => {
          const x = k.loadVF(k.offset(source, i, 4));
          k.store(k.offset(target, i, 4), x);
        },
        k.width,
      );
    });
  },
};

// many short attempts: some fall between the interruptions of a busy machine
const ATTEMPTS = 25;
const MILLISECONDS = 4;

async function best(
  device: Device,
  kernel: Kernel,
  args: readonly KernelArgument[],
  tasks: number,
  attempts = ATTEMPTS,
): Promise<number> {
  const done = (): Promise<void> => device.synchronise();
  device.run(kernel, args, tasks);
  await done();
  const times: number[] = [];
  for (let i = 0; i < attempts; i++) times.push(await stopwatch(() => device.run(kernel, args, tasks), 0, done));
  return Math.min(...times);
}

/** The better of two measurements of one device, one before and one after other work. */
export const higher = (a: Peak, b: Peak): Peak => ({
  ...a,
  gflops: Math.max(a.gflops, b.gflops),
  gflopsOneThread: Math.max(a.gflopsOneThread, b.gflopsOneThread),
  gflopsOneChain: Math.max(a.gflopsOneChain, b.gflopsOneChain),
  gigabytesPerSecond: Math.max(a.gigabytesPerSecond, b.gigabytesPerSecond),
});

/** Measures the peak of a device: the best of many short attempts, after the kernels are compiled. */
export async function measurePeak(device: Device): Promise<Peak> {
  const { kind, threads, width } = device.info;
  const rate = async (chains: number, tasks: number, rounds: number): Promise<number> => {
    const out = device.allocate(4 * width * tasks, 'workspace');
    try {
      const milliseconds = await best(device, chains === 1 ? oneChain : manyChains, [out, rounds, 2], tasks);
      return (tasks * rounds * chains * width * 2) / milliseconds / 1e6;
    } finally {
      device.free(out);
    }
  };
  // one task runs on the calling thread alone; for all threads many small ones, so that all finish together
  const rough = await rate(CHAINS, 1, 50_000);
  const rounds = Math.max(10_000, Math.round((rough * 1e6 * MILLISECONDS) / (CHAINS * width * 2)));
  const gflopsOneThread = await rate(CHAINS, 1, rounds);
  const pieces = 16;
  const together = threads === 1 ? 0 : await rate(CHAINS, pieces * threads, Math.ceil(rounds / pieces));
  // on a machine that is busy with something else, several threads may get less done than one
  const gflops = Math.max(gflopsOneThread, together);
  const gflopsOneChain = await rate(1, 1, rounds);
  return {
    device: kind,
    threads,
    gflops,
    gflopsOneThread,
    gflopsOneChain,
    gigabytesPerSecond: await bandwidth(device),
  };
}

// a multiply-add takes 4 cycles or more on every processor with vectors, and at least one begins in each
const LEAST_GAIN = 3.5;

/** Why a peak is not to be believed, if it is not: its two estimates disagree. */
export function doubtOf({ gflopsOneThread: many, gflopsOneChain: one }: Peak): string | undefined {
  if (many >= LEAST_GAIN * one) return undefined;
  return (
    `The peak is measured wrongly: ${CHAINS} chains of multiply-adds ran at ${many.toFixed(1)} GFLOP/s, one chain alone at ` +
    `${one.toFixed(1)}, where a fourth of the peak is the most it can have. Measure again on a quiet machine.`
  );
}

const MOST_SHARE = 1.02;

/** `rate / peak`; null above 1.02, which nothing reaches: one of the two is measured wrongly. */
export function shareOf(rate: number, peak: number): number | null {
  const share = rate / peak;
  return share <= MOST_SHARE ? share : null;
}

async function bandwidth(device: Device): Promise<number> {
  const byteLength = 2 ** 26;
  const from = device.allocate(byteLength, 'workspace');
  const to = device.allocate(byteLength, 'workspace');
  try {
    // untouched pages share one page of zeros, which a cache would hold
    device.write(from, new Float32Array(byteLength / 4).fill(1));
    return (2 * byteLength) / (await best(device, copy, [from, to], byteLength / (4 * CHUNK), 7)) / 1e6;
  } finally {
    device.free(from);
    device.free(to);
  }
}
