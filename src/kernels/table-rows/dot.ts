import { sumVectors } from '../lanes.js';
import { typedKernel } from '../typed-kernel.js';

/** `out[r, j] = ⟨x[r], table[indices[r, j]]⟩`. Tasks are groups of rows. */
export const dotKernel = typedKernel({
  name: 'dot rows',
  key: () => '',
  parameters: {
    x: 'pointer',
    table: 'pointer',
    indices: 'pointer',
    out: 'pointer',
    rows: 'i32',
    columns: 'i32',
    /** Entries of a row of indices. */
    count: 'i32',
    rowsPerTask: 'i32',
  },
  text: (k, _: undefined, p) =>
    k.loop(k.begin, k.end, (task) => {
      const first = k.mul(task, p.rowsPerTask);
      k.loop(first, k.min(k.add(first, p.rowsPerTask), p.rows), (row) => {
        const x = k.offset(p.x, k.mul(row, p.columns), 4);
        const begin = k.mul(row, p.count);
        k.loop(begin, k.add(begin, p.count), (entry) => {
          const index = k.loadI32(k.offset(p.indices, entry, 4));
          const from = k.offset(p.table, k.mul(index, p.columns), 4);
          const dot = sumVectors(k, k.constant('i32', 0), p.columns, (at, count) =>
            k.mul(k.loadVF(k.offset(x, at, 4), 0, count), k.loadVF(k.offset(from, at, 4), 0, count)),
          );
          k.store(k.offset(p.out, entry, 4), dot);
        });
      });
    }),
});
