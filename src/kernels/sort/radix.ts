import type { I32, Pointer, Variable, VectorBuilder } from '../../codegen/vector.js';

/** Values of one digit: keys are sorted by bytes, the lowest first. */
export const radix = 256;
export const digits = 4;
/** Elements below which digits cost more than shifting elements one by one. */
const few = 32;

/** Words of workspace beside keys and indices. */
export const countWords = digits * radix;

/** Keys with what goes along with them, and as much room again. */
export interface Sorting {
  /** `countWords` words. */
  readonly counts: Pointer;
  readonly keys: Pointer;
  readonly items: Pointer;
  readonly otherKeys: Pointer;
  readonly otherItems: Pointer;
  readonly count: I32;
}

/** Digit `digit` of the key at `from`: its byte, of the highest turned so that negative keys come first. */
function digitAt(k: VectorBuilder, from: Pointer, digit: number): I32 {
  const byte = k.loadU8(from, digit);
  return digit === digits - 1 ? k.xor(byte, 128) : byte;
}

/** Sorts items by their keys, keeping the order of equal ones. Returns where the sorted items lie. */
export function sortItems(k: VectorBuilder, s: Sorting): Pointer {
  const sorted = k.variable('pointer', s.items);
  k.if(
    k.le(s.count, few),
    () => insertionSort(k, s),
    () => radixSort(k, s, sorted),
  );
  return sorted;
}

function insertionSort(k: VectorBuilder, { keys, items, count }: Sorting): void {
  k.loop(1, count, (i) => {
    const key = k.loadI32(k.offset(keys, i, 4));
    const item = k.loadI32(k.offset(items, i, 4));
    const at = k.variable('i32', i);
    const place = (array: Pointer): Pointer => k.offset(array, at, 4);
    const before = (array: Pointer): I32 => k.loadI32(k.offset(array, k.max(k.sub(at, 1), 0), 4));
    k.while(
      () => k.and(k.gt(at, 0), k.gt(before(keys), key)),
      () => {
        k.store(place(keys), before(keys));
        k.store(place(items), before(items));
        k.assign(at, k.sub(at, 1));
      },
    );
    k.store(place(keys), key);
    k.store(place(items), item);
  });
}

function radixSort(k: VectorBuilder, s: Sorting, sorted: Variable<'pointer'>): void {
  const current = { keys: k.variable('pointer', s.keys), items: k.variable('pointer', s.items) };
  const other = { keys: k.variable('pointer', s.otherKeys), items: k.variable('pointer', s.otherItems) };
  const swap = (a: Variable<'pointer'>, b: Variable<'pointer'>): void => {
    const was = k.offset(a, 0);
    k.assign(a, b);
    k.assign(b, was);
  };
  countDigits(k, s);
  for (let digit = 0; digit < digits; digit++) {
    const counts = k.offset(s.counts, 4 * radix * digit);
    // where all keys have the same digit nothing moves
    const first = k.loadI32(k.offset(counts, digitAt(k, current.keys, digit), 4));
    k.if(k.lt(first, s.count), () => {
      startsFromCounts(k, counts, k.constant('i32', radix));
      move(k, current, other, counts, s.count, (from) => digitAt(k, from, digit));
      swap(current.keys, other.keys);
      swap(current.items, other.items);
    });
  }
  k.assign(sorted, current.items);
}

function countDigits(k: VectorBuilder, { counts, keys, count }: Sorting): void {
  k.loop(0, countWords, (i) => k.store(k.offset(counts, i, 4), k.constant('vi', 0)), k.width);
  k.loop(0, count, (i) => {
    const from = k.offset(keys, i, 4);
    for (let digit = 0; digit < digits; digit++) {
      increment(k, k.offset(k.offset(counts, 4 * radix * digit), digitAt(k, from, digit), 4));
    }
  });
}

/** Adds 1 to a word and returns what it was. */
export function increment(k: VectorBuilder, word: Pointer): I32 {
  const before = k.loadI32(word);
  k.store(word, k.add(before, 1));
  return before;
}

/** Turns counts into where each begins. */
export function startsFromCounts(k: VectorBuilder, counts: Pointer, length: I32): void {
  const sum = k.variable('i32', 0);
  k.loop(0, length, (i) => {
    const word = k.offset(counts, i, 4);
    const count = k.loadI32(word);
    k.store(word, sum);
    k.assign(sum, k.add(sum, count));
  });
}

interface KeyedItems {
  readonly keys: Pointer;
  readonly items: Pointer;
}

/** Moves keys and items, in order, to the next place of their digit. */
export function move(
  k: VectorBuilder,
  from: KeyedItems,
  to: KeyedItems,
  starts: Pointer,
  count: I32,
  digitOf: (key: Pointer) => I32,
): void {
  k.loop(0, count, (i) => {
    const key = k.offset(from.keys, i, 4);
    const place = increment(k, k.offset(starts, digitOf(key), 4));
    k.store(k.offset(to.keys, place, 4), k.loadI32(key));
    k.store(k.offset(to.items, place, 4), k.loadI32(k.offset(from.items, i, 4)));
  });
}
