import type { Kernel } from '../../codegen/kernel.js';
import { parameterList } from '../parameters.js';

export const runningMaxParameters = parameterList({
  x: 'pointer',
  /** `[rows]`: read only if `hasInitial`. */
  initial: 'pointer',
  top: 'pointer',
  fall: 'pointer',
  length: 'i32',
  hasInitial: 'i32',
});

/** `top_t = max(initial, x_0, …, x_t)` and `fall_t = top_(t−1) − top_t ≤ 0`, for rows of `length`; a task is a row. NaN stays. */
export const runningMaxKernel: Kernel = {
  name: 'running max',
  key: '',
  parameters: runningMaxParameters.kinds,
  cpu: (k) => {
    const p = runningMaxParameters.read(k);
    k.loop(k.begin, k.end, (row) => {
      const [x, top, fall] = [p.x, p.top, p.fall].map((base) => k.offset(base, k.mul(row, p.length), 4)) as [
        typeof p.x,
        typeof p.x,
        typeof p.x,
      ];
      const before = k.variable('f32', k.loadF32(x));
      k.if(p.hasInitial, () => k.assign(before, k.loadF32(k.offset(p.initial, row, 4))));
      k.loop(0, p.length, (t) => {
        const value = k.loadF32(k.offset(x, t, 4));
        const now = k.select(k.ne(value, value), value, k.max(before, value));
        k.store(k.offset(top, t, 4), now);
        k.store(k.offset(fall, t, 4), k.sub(before, now));
        k.assign(before, now);
      });
    });
  },
};
