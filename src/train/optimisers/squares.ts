import type { VectorBuilder } from '../../codegen/vector.js';
import type { KernelArgument } from '../../devices/device.js';
import { parameterList, type Kernel } from '../../kernels/kernel.js';
import { sumVectors } from '../../kernels/lanes.js';
import type { Tensor } from '../../tensor/index.js';

/** Elements whose squares one task adds up: fixed, so that the sum does not depend on the threads. */
const CHUNK = 16384;

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

/** How many partial sums `sumSquares` writes for a tensor of that size. */
export const partialSums = (size: number): number => Math.ceil(size / CHUNK);

/** Writes the partial sums of `(factor·x)²` of an f32 tensor to `out`, in one pass. */
export function sumSquares(x: Tensor, out: KernelArgument, factor = 1): void {
  const tasks = partialSums(x.size);
  x.device.run(kernel, parameters.pack({ x: x.buffer, out, count: x.size, chunk: CHUNK, factor }), tasks);
  x.device.counters.bytesMoved += x.byteLength + 4 * tasks;
}
