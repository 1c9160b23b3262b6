import type { I32, Pointer, VectorBuilder, VI } from '../../codegen/vector.js';
import { bytesPerElement } from '../../core/dtype.js';
import { typedKernel } from '../typed-kernel.js';
import { countWords, digits, increment, radix, sortItems } from './radix.js';
import { arrays, slack, sortKey, writeKeys, type SortSpec } from './rows.js';

export const topKScratch = (length: number, chosen: number): number =>
  4 * (countWords + 2 * (length + slack) + 4 * (chosen + slack));

/** Which elements of a row say where its chosen ones end: `count` of them, `stride` apart. */
export interface Sample {
  readonly count: number;
  readonly stride: number;
  /** The number of the sample's element up to which all chosen ones are expected; 0: there is no sample. */
  readonly rank: number;
}

const none: Sample = { count: 0, stride: 0, rank: 0 };
/** Odd, so that what repeats by powers of two is met in all of its phases. */
const leastStride = 17;
const mostSamples = 1024;
/** With fewer a row is as fast without. */
const leastSamples = 96;

/**
 * A sample of rows of which few are chosen: r of the chosen ones are expected in it, and hardly ever more than r + 3·√r + 4 (if so, the
 * row is searched whole).
 */
export function sampleOf(length: number, chosen: number): Sample {
  const stride = Math.max(leastStride, Math.ceil(length / mostSamples) | 1);
  const count = Math.floor(length / stride);
  const expected = (chosen / length) * count;
  const rank = Math.ceil(expected + 3 * Math.sqrt(expected) + 4);
  return count >= leastSamples && 4 * rank <= count ? { count, stride, rank } : none;
}

/**
 * The first `chosen` of each row's order: the key that is the last of them is found digit by digit, then those before it and
 * as many equal ones as fit are collected by index and sorted. Where few are chosen, all that come after an element of a sample are left
 * out first.
 */
export const topKKernel = typedKernel({
  name: 'top k',
  vectorOn: 'invocation',
  key: sortKey,
  parameters: {
    x: 'pointer',
    out: 'pointer',
    rows: 'i32',
    length: 'i32',
    chosen: 'i32',
    rowsPerTask: 'i32',
    samples: 'i32',
    stride: 'i32',
    rank: 'i32',
  },
  text: (k, spec: SortSpec, p) => {
    const [rowKeys, rowItems, end] = arrays(k, k.offset(k.scratch, 4 * countWords), p.length, 3) as Three;
    const [keys, items, otherKeys, otherItems] = arrays(k, end, p.chosen, 4) as [...Three, Pointer];
    const zero = k.constant('i32', 0);
    k.loop(k.begin, k.end, (task) => {
      const first = k.mul(task, p.rowsPerTask);
      k.loop(first, k.min(k.add(first, p.rowsPerTask), p.rows), (row) => {
        const x = k.offset(p.x, k.mul(row, p.length), bytesPerElement[spec.dtype]);
        writeKeys(k, spec, x, zero, p.length, rowKeys);
        const count = k.variable('i32', 0);
        k.if(k.gt(p.rank, 0), () => {
          const place = (i: I32): Pointer => k.offset(rowKeys, k.mul(i, p.stride), 4);
          k.loop(0, p.samples, (i) => k.store(k.offset(rowItems, i, 4), k.loadI32(place(i))));
          const { last } = lastChosen(k, rowItems, p.samples, p.rank);
          k.assign(count, keepUpTo(k, { keys: rowKeys, items: rowItems }, p.length, last));
        });
        k.if(k.lt(count, p.chosen), () => {
          // no sample, or one that met more of the chosen ones than was expected
          k.if(k.gt(p.rank, 0), () => writeKeys(k, spec, x, zero, p.length, rowKeys));
          k.loop(0, p.length, (i) => k.store(k.offset(rowItems, i, 4), k.add(k.iota(), k.splat(i))), k.width);
          k.assign(count, p.length);
        });
        const { last, equal } = lastChosen(k, rowKeys, count, p.chosen);
        const found = k.variable('i32', 0);
        eachWhere(
          k,
          rowKeys,
          count,
          (key) => k.le(key, k.splat(last)),
          (i) => {
            const key = k.loadI32(k.offset(rowKeys, i, 4));
            const fits = k.and(k.eq(key, last), k.gt(equal, 0));
            k.if(k.or(k.lt(key, last), fits), () => {
              k.store(k.offset(keys, found, 4), key);
              k.store(k.offset(items, found, 4), k.loadI32(k.offset(rowItems, i, 4)));
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

type Three = [Pointer, Pointer, Pointer];

/** Moves the keys up to `last` to the front, with their places as items, in order. Returns how many there are. */
function keepUpTo(k: VectorBuilder, to: { keys: Pointer; items: Pointer }, length: I32, last: I32): I32 {
  const kept = k.variable('i32', 0);
  eachWhere(
    k,
    to.keys,
    length,
    (key) => k.le(key, k.splat(last)),
    (i) => {
      const key = k.loadI32(k.offset(to.keys, i, 4));
      // without a branch: what does not stay is written over
      k.store(k.offset(to.keys, kept, 4), key);
      k.store(k.offset(to.items, kept, 4), i);
      k.assign(kept, k.add(kept, k.le(key, last)));
    },
  );
  return kept;
}

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
