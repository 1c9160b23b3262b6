import type { I32, VectorBuilder } from '../codegen/vector.js';
import type { Kernel } from '../codegen/kernel.js';
import { bytesPerElement, type Dtype } from '../core/dtype.js';
import { memoised } from '../core/memo.js';
import { loadFloats } from './cast/convert.js';
import { parameterList } from './parameters.js';

export const finiteParameters = parameterList({ x: 'pointer', count: 'i32', chunk: 'i32', flags: 'pointer' });

/** Of numbers stored as `dtype`: sets `flags[task]` where elements `task·chunk … (task+1)·chunk` hold NaN or Inf, and leaves it else. `chunk` is a multiple of 64. */
export const findNonFiniteIn = memoised((dtype: Dtype): Kernel => ({
  name: 'find non-finite',
  key: dtype === 'f32' ? '' : dtype,
  parameters: finiteParameters.kinds,
  cpu: (k) => text(k, dtype),
}));

/** As `findNonFiniteIn('f32')`. */
export const findNonFinite = findNonFiniteIn('f32');

function text(k: VectorBuilder, dtype: Dtype): void {
  const bytes = bytesPerElement[dtype];
  const p = finiteParameters.read(k);
  k.loop(k.begin, k.end, (task) => {
    const first = k.mul(task, p.chunk);
    const count = k.max(k.min(k.sub(p.count, first), p.chunk), 0);
    const from = k.offset(p.x, first, bytes);
    // x − x is 0 for finite x and NaN for others
    const sums = [0, 1, 2, 3].map(() => k.variable('vf', 0));
    const step = 4 * k.width;
    const whole = k.and(count, -step);
    const add = (i: number, at: I32, rest?: I32): void => {
      const x = loadFloats(k, dtype, k.offset(from, at, bytes), bytes * i * k.width, rest);
      k.assign(sums[i]!, k.add(sums[i]!, k.sub(x, x)));
    };
    k.loop(0, whole, (at) => sums.forEach((_, i) => add(i, at)), step);
    k.loop(whole, count, (at) => add(0, at, k.sub(count, at)), k.width);
    const total = k.add(k.add(sums[0]!, sums[1]!), k.add(sums[2]!, sums[3]!));
    k.if(k.any(k.ne(total, total)), () => k.store(k.offset(p.flags, task, 4), k.constant('i32', 1)));
  });
}
