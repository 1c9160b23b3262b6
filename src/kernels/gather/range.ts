import type { I32, VectorBuilder, VI } from '../../codegen/vector.js';
import { family } from '../family.js';
import { eachVector } from '../lanes.js';

const [lowest, highest] = [-(2 ** 31), 2 ** 31 - 1];

/** Indices of one task. */
export const rangeChunk = 65536;
/** Words a task writes: the smallest index, the largest, and how many there are. */
export const rangeWords = 3;

/** What indices a tensor holds, those equal to `ignore` left out if that is asked for. */
export const rangeProgram = family({
  name: 'index range',
  key: ({ ignores }: { readonly ignores: boolean }) => String(ignores),
  parameters: { indices: 'pointer', out: 'pointer', count: 'i32', ignore: 'i32' },
  text: (k, { ignores }, p) =>
    k.loop(k.begin, k.end, (task) => {
      const first = k.mul(task, rangeChunk);
      const low = k.variable('vi', highest);
      const high = k.variable('vi', lowest);
      const seen = k.variable('vi', 0);
      eachVector(k, first, k.min(k.add(first, rangeChunk), p.count), (at, count) => {
        const index = k.loadVI(k.offset(p.indices, at, 4), 0, count);
        const there = count === undefined ? k.constant('vi', -1) : k.lt(k.iota(), k.splat(count));
        const counts = ignores ? k.and(there, k.ne(index, k.splat(p.ignore))) : there;
        k.assign(low, k.min(low, k.select(counts, index, highest)));
        k.assign(high, k.max(high, k.select(counts, index, lowest)));
        k.assign(seen, k.sub(seen, counts));
      });
      const to = k.offset(p.out, task, 4 * rangeWords);
      k.store(
        to,
        fold(k, low, (a, b) => k.min(a, b)),
      );
      k.store(
        to,
        fold(k, high, (a, b) => k.max(a, b)),
        4,
      );
      k.store(
        to,
        fold(k, seen, (a, b) => k.add(a, b)),
        8,
      );
    }),
});

function fold(k: VectorBuilder, lanes: VI, join: (a: I32, b: I32) => I32): I32 {
  return Array.from({ length: k.width }, (_, lane) => k.lane(lanes, lane)).reduce(join);
}
