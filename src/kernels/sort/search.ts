import { typedKernel } from '../typed-kernel.js';
import { eachVector } from '../lanes.js';

/**
 * `out[r, i]` is how many of the `length` numbers of the ascending row r of `sorted` are at most `values[r, i]`; 0 for a NaN. A task
 * is a row. Every lane halves its own range.
 */
export const searchKernel = typedKernel({
  name: 'search sorted',
  vectorOn: 'invocation',
  key: () => '',
  parameters: {
    sorted: 'pointer',
    values: 'pointer',
    out: 'pointer',
    length: 'i32',
    count: 'i32',
    /** The largest power of two that is at most `length`. */
    stride: 'i32',
  },
  text: (k, _: undefined, p) =>
    k.loop(k.begin, k.end, (row) => {
      const sorted = k.offset(p.sorted, k.mul(row, p.length), 4);
      const first = k.mul(row, p.count);
      eachVector(k, k.constant('i32', 0), p.count, (at, count) => {
        const place = k.offset(p.values, k.add(first, at), 4);
        const value = k.loadVF(place, 0, count);
        const found = k.variable('vi', 0);
        const stride = k.variable('i32', p.stride);
        k.while(
          () => k.gt(stride, 0),
          () => {
            const next = k.add(found, k.splat(stride));
            const inside = k.le(next, k.splat(p.length));
            const last = k.sub(k.min(next, k.splat(p.length)), 1);
            const below = k.le(k.gatherVF(sorted, last), value);
            k.assign(found, k.select(k.and(inside, below), next, found));
            k.assign(stride, k.shrUnsigned(stride, 1));
          },
        );
        k.store(k.offset(p.out, k.add(first, at), 4), found, 0, count);
      });
    }),
});
