import type { I32, Pointer, VectorBuilder } from '../../codegen/vector.js';
import { bytesPerElement, type Dtype } from '../../core/dtype.js';
import { loadLanes } from '../cast/convert.js';
import { typedKernel } from '../typed-kernel.js';
import { eachVector } from '../lanes.js';
import { orderedKey } from './keys.js';
import { countWords, sortItems } from './radix.js';

export interface SortSpec {
  readonly dtype: Dtype;
  readonly descending: boolean;
}

export const sortKey = ({ dtype, descending }: SortSpec): string => `${dtype}${descending ? ' descending' : ''}`;

/** Whole vectors are written past the end of an array. */
export const slack = 16;

export const sortRowsScratch = (length: number): number => 4 * (countWords + 4 * (length + slack));

/** Arrays one after another in the thread's workspace, each of `length` words and the slack. */
export function arrays(k: VectorBuilder, start: Pointer, length: I32, count: number): Pointer[] {
  return Array.from({ length: count }, (_, i) => k.offset(start, k.mul(k.add(length, slack), i), 4));
}

/** Writes the keys of row elements `begin … end-1` to `keys`. */
export function writeKeys(k: VectorBuilder, spec: SortSpec, row: Pointer, begin: I32, end: I32, keys: Pointer): void {
  eachVector(k, begin, end, (at, count) => {
    const value = loadLanes(k, spec.dtype, k.offset(row, at, bytesPerElement[spec.dtype]), 0, count);
    k.store(k.offset(keys, at, 4), orderedKey(k, spec.dtype, value, spec.descending), 0, count);
  });
}

/** The order of every row: `out[r, i]` is the index of the i-th element of row r, equal ones by index. A task takes rows. */
export const sortRowsKernel = typedKernel({
  name: 'sort rows',
  vectorOn: 'invocation',
  key: sortKey,
  parameters: { x: 'pointer', out: 'pointer', rows: 'i32', length: 'i32', rowsPerTask: 'i32' },
  text: (k, spec: SortSpec, p) => {
    const [keys, items, otherKeys, otherItems] = arrays(k, k.offset(k.scratch, 4 * countWords), p.length, 4) as [
      Pointer,
      Pointer,
      Pointer,
      Pointer,
    ];
    const zero = k.constant('i32', 0);
    k.loop(k.begin, k.end, (task) => {
      const first = k.mul(task, p.rowsPerTask);
      k.loop(first, k.min(k.add(first, p.rowsPerTask), p.rows), (row) => {
        const at = k.mul(row, p.length);
        writeKeys(k, spec, k.offset(p.x, at, bytesPerElement[spec.dtype]), zero, p.length, keys);
        k.loop(0, p.length, (i) => k.store(k.offset(items, i, 4), k.add(k.iota(), k.splat(i))), k.width);
        const sorted = sortItems(k, { counts: k.scratch, keys, items, otherKeys, otherItems, count: p.length });
        eachVector(k, zero, p.length, (i, count) =>
          k.store(k.offset(p.out, k.add(at, i), 4), k.loadVI(k.offset(sorted, i, 4), 0, count), 0, count),
        );
      });
    });
  },
});
