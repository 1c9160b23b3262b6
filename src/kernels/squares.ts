import type { VectorBuilder } from '../codegen/vector.js';
import type { Device, DeviceBuffer, DeviceInfo, KernelArgument } from '../devices/device.js';
import type { Kernel } from '../codegen/kernel.js';
import { parameterList } from './parameters.js';
import { sumVectors } from './lanes.js';

/** Elements whose squares one task adds up: fixed by the kind of device, so that the sum does not depend on the threads. */
const chunkOf = ({ gpu }: Pick<DeviceInfo, 'gpu'>): number => (gpu ? 1024 : 16384);

const parameters = parameterList({ x: 'pointer', out: 'pointer', count: 'i32', chunk: 'i32', factor: 'f32' });

/** `out[task]` = Σ (factor·x)² over elements `task·chunk … (task+1)·chunk`. */
const kernel: Kernel = { name: 'sum of squares', key: '', parameters: parameters.kinds, cpu: text };

function text(k: VectorBuilder): void {
  const p = parameters.read(k);
  const factor = k.splat(p.factor);
  k.loop(k.begin, k.end, (task) => {
    const begin = k.mul(task, p.chunk);
    const end = k.min(k.add(begin, p.chunk), p.count);
    const sum = sumVectors(k, begin, end, (at, count) => {
      const x = k.mul(k.loadVF(k.offset(p.x, at, 4), 0, count), factor);
      return k.mul(x, x);
    });
    k.store(k.offset(p.out, task, 4), sum);
  });
}

/** How many partial sums `launchSquares` writes for so many elements. */
export const partialSums = (size: number, { info }: Device): number => Math.ceil(size / chunkOf(info));

/** Writes the partial sums of `(factor·x)²` of `count` f32 to `out`, in one pass. */
export function launchSquares(
  device: Device,
  {
    x,
    count,
    out,
    factor = 1,
  }: { readonly x: DeviceBuffer; readonly count: number; readonly out: KernelArgument; readonly factor?: number },
): void {
  const tasks = partialSums(count, device);
  device.run(kernel, parameters.pack({ x, out, count, chunk: chunkOf(device.info), factor }), tasks);
  device.counters.bytesMoved += 4 * (count + tasks);
}
