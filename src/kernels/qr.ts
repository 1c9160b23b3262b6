import type { F32, I32, Pointer, VectorBuilder } from '../codegen/vector.js';
import { eachVector, largest } from './lanes.js';
import { typedKernel } from './typed-kernel.js';

/** Bytes of workspace of a thread: a matrix, and three numbers of each column. */
export const qrScratch = (rows: number, columns: number): number => 4 * (rows * columns + 3 * columns);

/** 2^−e for the largest number of `count`, e its exponent: squares of what is scaled neither overflow nor vanish. */
function inversePower(k: VectorBuilder, x: Pointer, count: I32): F32 {
  const most = k.variable('vf', 0);
  eachVector(k, k.constant('i32', 0), count, (at, lanes) =>
    k.assign(most, largest(k, most, k.abs(k.loadVF(k.offset(x, at, 4), 0, lanes)))),
  );
  const exponent = k.and(k.shrUnsigned(k.bits(k.reduceMax(most)), 23), 0xff);
  return k.fromBits(k.shl(k.sub(k.constant('i32', 254), k.min(k.max(exponent, 1), 253)), 23));
}

/**
 * The factors of each A = Q·R, `rows` × `columns`, rows ≥ columns, by Householder's reflections in the order of the columns: Q with
 * orthonormal columns, R upper triangular with a positive diagonal; and in `failed` 1 + the first column of which no more than its
 * share `tolerance` is left beside those before it, else 0. A task is a matrix.
 */
export const qrKernel = typedKernel({
  name: 'householder factors',
  key: () => '',
  parameters: {
    a: 'pointer',
    q: 'pointer',
    r: 'pointer',
    failed: 'pointer',
    rows: 'i32',
    columns: 'i32',
    tolerance: 'f32',
  },
  text: (k, _: undefined, { a, q, r, failed, rows, columns, tolerance }) => {
    const [zero, size] = [k.constant('i32', 0), k.mul(rows, columns)];
    const work = k.scratch;
    const at = (base: Pointer, i: I32, j: I32): Pointer => k.offset(base, k.add(k.mul(i, columns), j), 4);
    const product = k.offset(work, size, 4);
    const slopes = k.offset(product, columns, 4);
    const signs = k.offset(slopes, columns, 4);
    /** `x −= τ·v·(vᵀ·x)` in columns from `first` on, where v is column j of the workspace from row j on. */
    const reflect = (x: Pointer, j: I32, first: I32): void => {
      eachVector(k, first, columns, (c, count) => {
        const sum = k.variable('vf', 0);
        k.loop(j, rows, (i) => k.assign(sum, k.fma(k.loadVF(at(x, i, c), 0, count), k.loadSplat(at(work, i, j)), sum)));
        k.store(k.offset(product, c, 4), k.mul(sum, k.loadSplat(k.offset(slopes, j, 4))), 0, count);
      });
      k.loop(j, rows, (i) => {
        const factor = k.neg(k.loadSplat(at(work, i, j)));
        eachVector(k, first, columns, (c, count) => {
          const [to, by] = [at(x, i, c), k.loadVF(k.offset(product, c, 4), 0, count)];
          k.store(to, k.fma(factor, by, k.loadVF(to, 0, count)), 0, count);
        });
      });
    };
    k.loop(k.begin, k.end, (task) => {
      const from = k.offset(a, k.mul(task, size), 4);
      const [toQ, toR] = [k.offset(q, k.mul(task, size), 4), k.offset(r, k.mul(task, k.mul(columns, columns)), 4)];
      const scale = inversePower(k, from, size);
      eachVector(k, zero, size, (i, count) =>
        k.store(k.offset(work, i, 4), k.mul(k.loadVF(k.offset(from, i, 4), 0, count), k.splat(scale)), 0, count),
      );
      const bad = k.variable('i32', 0);
      k.loop(0, columns, (j) => {
        const squares = (begin: I32, end: I32): F32 => {
          const sum = k.variable('f32', 0);
          k.loop(begin, end, (i) => k.assign(sum, k.fma(k.loadF32(at(work, i, j)), k.loadF32(at(work, i, j)), sum)));
          return sum;
        };
        const rest = squares(j, rows);
        const all = k.add(squares(zero, j), rest);
        k.if(k.and(k.le(rest, k.mul(k.mul(tolerance, tolerance), all)), k.eq(bad, 0)), () =>
          k.assign(bad, k.add(j, 1)),
        );
        const [norm, first] = [k.sqrt(rest), k.loadF32(at(work, j, j))];
        // away from the first number, so that nothing cancels; a number alone is not reflected
        const alone = k.eq(j, k.sub(rows, 1));
        const negative = k.lt(first, 0);
        const sign = k.select(k.xor(negative, alone), k.constant('f32', 1), -1);
        k.store(at(work, j, j), k.sub(first, k.mul(sign, norm)));
        const slope = k.div(k.constant('f32', 1), k.mul(norm, k.add(norm, k.abs(first))));
        k.store(k.offset(slopes, j, 4), k.select(alone, k.constant('f32', 0), slope));
        k.store(k.offset(signs, j, 4), sign);
        reflect(work, j, k.add(j, 1));
        // the row of R is done
        const back = k.div(k.constant('f32', 1), scale);
        const here = k.iota();
        eachVector(k, zero, columns, (c, count) => {
          const column = k.add(here, k.splat(c));
          const beyond = k.mul(k.loadVF(at(work, j, c), 0, count), k.splat(sign));
          const upper = k.select(
            k.gt(column, k.splat(j)),
            beyond,
            k.select(k.eq(column, k.splat(j)), k.splat(norm), 0),
          );
          k.store(at(toR, j, c), k.mul(upper, k.splat(back)), 0, count);
        });
      });
      // Q is the reflections' product with the first columns of the identity, from the last on
      k.loop(0, rows, (i) =>
        eachVector(k, zero, columns, (c, count) => {
          const one = k.eq(k.add(k.iota(), k.splat(c)), k.splat(i));
          k.store(at(toQ, i, c), k.select(one, k.loadVF(k.offset(signs, c, 4), 0, count), 0), 0, count);
        }),
      );
      k.loop(0, columns, (passed) => {
        const j = k.sub(k.sub(columns, 1), passed);
        reflect(toQ, j, j);
      });
      k.store(k.offset(failed, task, 4), bad);
    });
  },
});

/** X of each X·Rᵀ = B, `rows` × `columns`, given L = Rᵀ, lower triangular: from the last column to the first. A task is a row of B. */
export const solveKernel = typedKernel({
  name: 'solve triangular',
  key: () => '',
  parameters: { b: 'pointer', l: 'pointer', out: 'pointer', rows: 'i32', columns: 'i32' },
  text: (k, _: undefined, { b, l, out, rows, columns }) => {
    const zero = k.constant('i32', 0);
    k.loop(k.begin, k.end, (task) => {
      const [from, to] = [b, out].map((base) => k.offset(base, k.mul(task, columns), 4)) as [Pointer, Pointer];
      const factor = k.offset(l, k.mul(k.div(task, rows), k.mul(columns, columns)), 4);
      eachVector(k, zero, columns, (c, count) =>
        k.store(k.offset(to, c, 4), k.loadVF(k.offset(from, c, 4), 0, count), 0, count),
      );
      k.loop(0, columns, (passed) => {
        const j = k.sub(k.sub(columns, 1), passed);
        const row = k.offset(factor, k.mul(j, columns), 4);
        const x = k.div(k.loadF32(k.offset(to, j, 4)), k.loadF32(k.offset(row, j, 4)));
        k.store(k.offset(to, j, 4), x);
        const minus = k.splat(k.neg(x));
        eachVector(k, zero, j, (c, count) => {
          const place = k.offset(to, c, 4);
          const by = k.loadVF(k.offset(row, c, 4), 0, count);
          k.store(place, k.fma(minus, by, k.loadVF(place, 0, count)), 0, count);
        });
      });
    });
  },
});
