import type { VI } from '../../src/codegen/vector.js';
import type { Kernel } from '../../src/codegen/kernel.js';
import type { AttendSpec } from '../../src/kernels/attend/spec.js';

/** A kernel with one of everything the builder records: what the golden files show of the renderers. */
export const specimen: Kernel = {
  name: 'specimen',
  key: '',
  parameters: ['pointer', 'pointer', 'i32', 'f32'],
  cpu: (k) => {
    const [from, to] = [k.parameter(0, 'pointer'), k.parameter(1, 'pointer')];
    const [count, factor] = [k.parameter(2, 'i32'), k.parameter(3, 'f32')];
    const sum = k.variable('vf', 0);
    k.loop(k.begin, k.end, (task) => {
      const row = k.offset(from, task, 4096);
      k.loop(
        0,
        count,
        (i) => {
          const at = k.offset(row, i, 4);
          const left = k.sub(count, i);
          const x = k.mul(k.loadVF(at, 64), k.splat(factor));
          const rest = k.loadVF(at, 64, left);
          k.if(
            k.any(k.gt(x, rest)),
            () => k.assign(sum, k.fma(x, rest, sum)),
            () => k.assign(sum, k.max(sum, k.neg(k.abs(x)))),
          );
          k.store(k.offset(to, i, 4), k.select(k.ne(x, x), k.constant('vf', -Infinity), x), 0, left);
        },
        k.width,
      );
      const index = k.mulHighUnsigned(k.add(k.iota(), k.splat(task)), k.constant('vi', 0x12345678));
      const gathered = k.add(k.gatherVF(from, index), k.toFloat(k.gatherVI(from, index, 'vu8')));
      k.storeStrided(to, k.add(gathered, k.loadStrided(row, 256, 8)), 256, 12);
      const bytes = k.and(k.or(k.loadVU8(from), k.shl(k.loadVI(from), 3)), 255);
      k.storeVU8(to, bytes, 5);
      k.storeVU8(to, bytes, 5, count);
      k.storeVU16(to, k.min(k.loadVU16(from, 2), k.toInt(k.trunc(gathered))), 6);
      const numbers = [
        k.reduceAdd(sum),
        k.reduceMax(sum),
        k.reduceMin(sum),
        k.lane(sum, 3),
        k.fma(factor, factor, 0.1),
      ];
      numbers.forEach((number, i) => k.store(to, number, 32 + 4 * i));
      const left = k.variable('i32', k.div(k.loadU8(from, 1), 3));
      k.while(
        () => k.gt(left, 0),
        () => k.assign(left, k.rem(k.xor(left, k.loadU16(from, 2)), 7)),
      );
      k.storeU8(to, k.shrSigned(left, 1), 3);
      k.storeU16(to, k.shrUnsigned(k.loadI32(k.loadPointer(from, 8)), 16), 2);
      const mixed: VI = k.select(k.lt(bytes, 9), k.bits(k.fromBits(bytes)), k.max(bytes, -3));
      k.store(k.scratch, mixed);
      k.store(to, k.toInt(k.nearest(k.min(k.sqrt(factor), k.toFloat(count)))), 60);
    });
  },
};

/** Attention without mask and score. */
export const plainAttention: AttendSpec = {
  D: 8,
  E: 8,
  score: undefined,
  slope: undefined,
  hides: false,
  mask: undefined,
  constantTypes: [],
  tables: [],
  proven: new Set(),
  dropout: false,
  period: 1,
  queryTile: 32,
  keyBlock: 24,
};
