import { typedKernel } from '../typed-kernel.js';
import { eachVector } from '../lanes.js';

/** Indices of one task. */
export const checkChunk = 65536;
/** Words a task writes: where the first index out of range stands, and which it is. */
export const checkWords = 2;
/** Where there is none. */
export const NOWHERE = 2 ** 31 - 1;

/**
 * Copies indices to `safe`, with 0 for those outside `0 … bound − 1`, and finds the first of them. Those equal to `ignore` are
 * copied as they are, if that is asked for.
 */
export const checkKernel = typedKernel({
  name: 'check indices',
  key: ({ ignores }: { readonly ignores: boolean }) => String(ignores),
  parameters: { indices: 'pointer', safe: 'pointer', found: 'pointer', count: 'i32', bound: 'i32', ignore: 'i32' },
  text: (k, { ignores }, p) =>
    k.loop(k.begin, k.end, (task) => {
      const begin = k.mul(task, checkChunk);
      const nearest = k.variable('vi', NOWHERE);
      eachVector(k, begin, k.min(k.add(begin, checkChunk), p.count), (at, count) => {
        const index = k.loadVI(k.offset(p.indices, at, 4), 0, count);
        const outside = k.or(k.lt(index, 0), k.ge(index, k.splat(p.bound)));
        const wrong = ignores ? k.and(outside, k.ne(index, k.splat(p.ignore))) : outside;
        // lanes past the last index are 0, which is in range
        k.store(k.offset(p.safe, at, 4), k.select(wrong, k.constant('vi', 0), index), 0, count);
        const place = k.add(k.splat(at), k.iota());
        k.assign(nearest, k.min(nearest, k.select(wrong, place, NOWHERE)));
      });
      const first = Array.from({ length: k.width }, (_, lane) => k.lane(nearest, lane)).reduce((a, b) => k.min(a, b));
      const to = k.offset(p.found, task, 4 * checkWords);
      k.store(to, first);
      k.if(k.lt(first, NOWHERE), () => k.store(to, k.loadI32(k.offset(p.indices, first, 4)), 4));
    }),
});
