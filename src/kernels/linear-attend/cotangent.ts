import { eachVector } from '../lanes.js';
import type { Kernel } from '../../codegen/kernel.js';
import { parameterList } from '../parameters.js';

export const cotangentParameters = parameterList({
  dout: 'pointer',
  out: 'pointer',
  norm: 'pointer',
  dsum: 'pointer',
  dnorm: 'pointer',
  rows: 'i32',
  columns: 'i32',
});

/** Rows of one task. */
export const cotangentRows = 128;

/** The gradient behind a division: of out = sum / norm, dsum = dout / norm and dnorm = −⟨dout, out⟩ / norm; 0 where norm is 0. */
export const linearCotangent: Kernel = {
  name: 'linear attend cotangent',
  key: '',
  parameters: cotangentParameters.kinds,
  cpu: (k) => {
    const p = cotangentParameters.read(k);
    k.loop(k.begin, k.end, (task) => {
      const first = k.mul(task, cotangentRows);
      k.loop(first, k.min(k.add(first, cotangentRows), p.rows), (row) => {
        const [dout, out, dsum] = [p.dout, p.out, p.dsum].map((base) =>
          k.offset(k.offset(base, row, k.mul(p.columns, 4)), 0),
        ) as [typeof p.dout, typeof p.dout, typeof p.dout];
        const norm = k.loadF32(k.offset(p.norm, row, 4));
        const inverse = k.select(k.eq(norm, 0), k.constant('f32', 0), k.div(k.constant('f32', 1), norm));
        const factor = k.splat(inverse);
        const product = k.variable('vf', 0);
        eachVector(k, k.constant('i32', 0), p.columns, (e, count) => {
          const d = k.loadVF(k.offset(dout, e, 4), 0, count);
          k.assign(product, k.fma(d, k.loadVF(k.offset(out, e, 4), 0, count), product));
          k.store(k.offset(dsum, e, 4), k.mul(d, factor), 0, count);
        });
        k.store(k.offset(p.dnorm, row, 4), k.neg(k.mul(k.reduceAdd(product), inverse)));
      });
    });
  },
};
