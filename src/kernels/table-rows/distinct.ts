import { typedKernel } from '../typed-kernel.js';

/**
 * The distinct ones of indices whose ascending order is known, and the segments of their entries: `found[s]` is an index, and its entries
 * are `order[starts[s]] … order[starts[s + 1] − 1]`. Indices from `length` on are none; after the last one found stands `length`,
 * with a segment of nothing. One task: a pass over a list, which costs a tenth of sorting it.
 */
export const distinctKernel = typedKernel({
  name: 'distinct rows',
  key: () => '',
  parameters: {
    indices: 'pointer',
    order: 'pointer',
    found: 'pointer',
    /** `capacity + 1` of them. */
    starts: 'pointer',
    count: 'i32',
    length: 'i32',
    capacity: 'i32',
  },
  text: (k, _: undefined, p) =>
    k.loop(k.begin, k.end, () => {
      const [slot, before, end] = [k.variable('i32', 0), k.variable('i32', -1), k.variable('i32', 0)];
      k.loop(0, p.count, (i) => {
        const index = k.loadI32(k.offset(p.indices, k.loadI32(k.offset(p.order, i, 4)), 4));
        k.if(k.lt(index, p.length), () => {
          k.assign(end, k.add(i, 1));
          k.if(k.ne(index, before), () => {
            k.store(k.offset(p.found, slot, 4), index);
            k.store(k.offset(p.starts, slot, 4), i);
            k.assign(slot, k.add(slot, 1));
            k.assign(before, index);
          });
        });
      });
      k.loop(slot, p.capacity, (none) => {
        k.store(k.offset(p.found, none, 4), p.length);
        k.store(k.offset(p.starts, none, 4), end);
      });
      k.store(k.offset(p.starts, p.capacity, 4), end);
    }),
});
