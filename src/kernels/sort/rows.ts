import type { I32, Pointer, VectorBuilder, VI } from '../../codegen/vector.js';
import { bytesPerElement, type Dtype } from '../../core/dtype.js';
import { loadLanes } from '../cast/convert.js';
import { typedKernel } from '../typed-kernel.js';
import { eachVector } from '../lanes.js';
import { orderedKey } from './keys.js';
import { countWords, digits, increment, radix, sortItems } from './radix.js';

export interface SortSpec {
  readonly dtype: Dtype;
  readonly descending: boolean;
}

export const sortKey = ({ dtype, descending }: SortSpec): string => `${dtype}${descending ? ' descending' : ''}`;

/** Whole vectors are written past the end of an array. */
const slack = 16;

export const sortRowsScratch = (length: number): number => 4 * (countWords + 4 * (length + slack));

/** Arrays one after another in the thread's workspace, each of `length` words and the slack. */
function arrays(k: VectorBuilder, start: Pointer, length: I32, count: number): Pointer[] {
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

export const topKScratch = (length: number, chosen: number): number =>
  4 * (countWords + length + slack + 4 * (chosen + slack));

/**
 * The first `chosen` of each row's order: the key that is the last of them is found digit by digit, then those before it and
 * as many equal ones as fit are collected by index and sorted.
 */
export const topKKernel = typedKernel({
  name: 'top k',
  key: sortKey,
  parameters: { x: 'pointer', out: 'pointer', rows: 'i32', length: 'i32', chosen: 'i32', rowsPerTask: 'i32' },
  text: (k, spec: SortSpec, p) => {
    const rowKeys = k.offset(k.scratch, 4 * countWords);
    const [keys, items, otherKeys, otherItems] = arrays(k, arrays(k, rowKeys, p.length, 2)[1]!, p.chosen, 4) as [
      Pointer,
      Pointer,
      Pointer,
      Pointer,
    ];
    const zero = k.constant('i32', 0);
    k.loop(k.begin, k.end, (task) => {
      const first = k.mul(task, p.rowsPerTask);
      k.loop(first, k.min(k.add(first, p.rowsPerTask), p.rows), (row) => {
        const x = k.offset(p.x, k.mul(row, p.length), bytesPerElement[spec.dtype]);
        writeKeys(k, spec, x, zero, p.length, rowKeys);
        const { last, equal } = lastChosen(k, rowKeys, p.length, p.chosen);
        const found = k.variable('i32', 0);
        eachWhere(
          k,
          rowKeys,
          p.length,
          (key) => k.le(key, k.splat(last)),
          (i) => {
            const key = k.loadI32(k.offset(rowKeys, i, 4));
            const fits = k.and(k.eq(key, last), k.gt(equal, 0));
            k.if(k.or(k.lt(key, last), fits), () => {
              k.store(k.offset(keys, found, 4), key);
              k.store(k.offset(items, found, 4), i);
              k.assign(found, k.add(found, 1));
              k.assign(equal, k.sub(equal, fits));
            });
          },
        );
        const sorted = sortItems(k, { counts: k.scratch, keys, items, otherKeys, otherItems, count: p.chosen });
        k.loop(0, p.chosen, (i) =>
          k.store(k.offset(p.out, k.add(k.mul(row, p.chosen), i), 4), k.loadI32(k.offset(sorted, i, 4))),
        );
      });
    });
  },
});

/** Calls `body` for the elements of every vector in which `test` holds for a key, in order. */
function eachWhere(k: VectorBuilder, keys: Pointer, length: I32, test: (key: VI) => VI, body: (i: I32) => void): void {
  const whole = k.and(length, -k.width);
  k.loop(
    0,
    whole,
    (at) => k.if(k.any(test(k.loadVI(k.offset(keys, at, 4)))), () => k.loop(at, k.add(at, k.width), body)),
    k.width,
  );
  k.loop(whole, length, body);
}

/** The key that is number `chosen` in the order, and how many equal to it are among the chosen. */
function lastChosen(k: VectorBuilder, keys: Pointer, length: I32, chosen: I32) {
  const equal = k.variable('i32', chosen);
  const last = k.variable('i32', 0);
  for (let digit = digits - 1; digit >= 0; digit--) {
    const top = digit === digits - 1;
    if (top) countHighest(k, keys, length);
    else {
      clear(k, radix);
      const shift = 8 * (digit + 1);
      const alike = (key: VI): VI => k.eq(k.shrSigned(k.xor(key, k.splat(last)), shift), 0);
      eachWhere(k, keys, length, alike, (i) => {
        const key = k.loadI32(k.offset(keys, i, 4));
        k.if(k.eq(k.shrSigned(k.xor(key, last), shift), 0), () => {
          increment(k, k.offset(k.scratch, digitOf(k, key, digit), 4));
        });
      });
    }
    // the first digit up to which there are enough
    const value = k.variable('i32', 0);
    const here = (): I32 => k.loadI32(k.offset(k.scratch, value, 4));
    k.while(
      () => k.lt(here(), equal),
      () => {
        k.assign(equal, k.sub(equal, here()));
        k.assign(value, k.add(value, 1));
      },
    );
    const bits = top ? k.xor(value, 128) : value;
    k.assign(last, k.or(last, k.shl(bits, 8 * digit)));
  }
  return { last, equal };
}

const clear = (k: VectorBuilder, words: number): void =>
  k.loop(0, words, (i) => k.store(k.offset(k.scratch, i, 4), k.constant('vi', 0)), k.width);

/** How often each value is the highest digit. Neighbours, which are often alike, are counted apart: a count waits for the one before. */
function countHighest(k: VectorBuilder, keys: Pointer, length: I32): void {
  const apart = countWords / radix;
  const table = (i: number): Pointer => k.offset(k.scratch, 4 * radix * i);
  const count = (i: I32, to: number): void => {
    const key = k.loadI32(k.offset(keys, i, 4));
    increment(k, k.offset(table(to), digitOf(k, key, digits - 1), 4));
  };
  clear(k, countWords);
  const whole = k.and(length, -apart);
  k.loop(
    0,
    whole,
    (i) => {
      for (let to = 0; to < apart; to++) count(k.add(i, to), to);
    },
    apart,
  );
  k.loop(whole, length, (i) => count(i, 0));
  k.loop(
    0,
    radix,
    (i) => {
      const counts = Array.from({ length: apart }, (_, to) => k.loadVI(k.offset(table(to), i, 4)));
      k.store(
        k.offset(k.scratch, i, 4),
        counts.reduce((a, b) => k.add(a, b)),
      );
    },
    k.width,
  );
}

function digitOf(k: VectorBuilder, key: I32, digit: number): I32 {
  const value = k.and(k.shrUnsigned(key, 8 * digit), radix - 1);
  return digit === digits - 1 ? k.xor(value, 128) : value;
}
