import type { I32, Pointer } from '../codegen/vector.js';
import { typedKernel } from './typed-kernel.js';
import { eachVector } from './lanes.js';

/** Bytes of workspace of a thread: the factor of one matrix. */
export const choleskyScratch = (n: number): number => 4 * n * n;

/**
 * The inverse W of the lower factor of each symmetric matrix A = L·Lᵀ, and in `failed` 1 + the first row whose pivot is not above 0,
 * else 0. Of A the lower half is read. A task is a matrix.
 */
export const choleskyKernel = typedKernel({
  name: 'cholesky inverse',
  key: () => '',
  parameters: { a: 'pointer', out: 'pointer', failed: 'pointer', n: 'i32' },
  text: (k, _: undefined, { a, out, failed, n }) => {
    const zero = k.constant('i32', 0);
    const factor = k.scratch;
    k.loop(k.begin, k.end, (task) => {
      const start = k.mul(task, k.mul(n, n));
      const row = (base: Pointer, i: I32): Pointer => k.offset(base, k.mul(i, n), 4);
      const [from, to] = [k.offset(a, start, 4), k.offset(out, start, 4)];
      const bad = k.variable('i32', 0);
      k.loop(0, n, (i) => {
        const own = row(factor, i);
        k.loop(0, k.add(i, 1), (j) => {
          const other = row(factor, j);
          const sum = k.variable('vf', 0);
          eachVector(k, zero, j, (c, count) => {
            const product = k.mul(k.loadVF(k.offset(own, c, 4), 0, count), k.loadVF(k.offset(other, c, 4), 0, count));
            k.assign(sum, k.add(sum, product));
          });
          const rest = k.sub(k.loadF32(k.offset(row(from, i), j, 4)), k.reduceAdd(sum));
          k.if(
            k.lt(j, i),
            () => k.store(k.offset(own, j, 4), k.div(rest, k.loadF32(k.offset(other, j, 4)))),
            () => {
              k.if(k.and(k.le(rest, 0), k.eq(bad, 0)), () => k.assign(bad, k.add(i, 1)));
              k.store(k.offset(own, j, 4), k.sqrt(rest));
            },
          );
        });
      });
      // rows of the inverse, each from those before: (e_i − Σ_c L_ic W_c) / L_ii
      k.loop(0, n, (i) => {
        const own = row(factor, i);
        const inverse = k.splat(k.div(k.constant('f32', 1), k.loadF32(k.offset(own, i, 4))));
        eachVector(k, zero, n, (at, count) => {
          const column = k.add(k.iota(), k.splat(at));
          const sum = k.variable('vf', k.select(k.eq(column, k.splat(i)), k.constant('vf', 1), 0));
          k.loop(0, i, (c) => {
            const before = k.loadVF(k.offset(row(to, c), at, 4), 0, count);
            k.assign(sum, k.sub(sum, k.mul(k.splat(k.loadF32(k.offset(own, c, 4))), before)));
          });
          k.store(k.offset(row(to, i), at, 4), k.mul(sum, inverse), 0, count);
        });
      });
      k.store(k.offset(failed, task, 4), bad);
    });
  },
});
