import type { I32, Pointer } from '../../codegen/vector.js';
import { bytesPerElement } from '../../core/dtype.js';
import { typedKernel } from '../typed-kernel.js';
import { increment, move, radix, startsFromCounts } from './radix.js';
import { sortKey, writeKeys, type SortSpec } from './rows.js';

// A long row is sorted by all threads: for every digit the chunks are counted, the counts turned into places, and the
// chunks moved there, each by a task. What a chunk does depends on the shape only.

/** Elements of one task. */
export const sortChunk = 16384;

/** Writes keys and indices. Tasks: rows × chunks. */
export const keysKernel = typedKernel({
  name: 'sort keys',
  vectorOn: 'invocation',
  key: sortKey,
  parameters: { x: 'pointer', keys: 'pointer', items: 'pointer', length: 'i32', chunks: 'i32' },
  text: (k, spec: SortSpec, p) =>
    k.loop(k.begin, k.end, (task) => {
      const start = k.mul(k.div(task, p.chunks), p.length);
      const begin = k.mul(k.rem(task, p.chunks), sortChunk);
      const end = k.min(k.add(begin, sortChunk), p.length);
      writeKeys(k, spec, k.offset(p.x, start, bytesPerElement[spec.dtype]), begin, end, k.offset(p.keys, start, 4));
      k.loop(begin, end, (i) => k.store(k.offset(p.items, k.add(start, i), 4), i));
    }),
});

const passNames = {
  keys: 'pointer',
  items: 'pointer',
  otherKeys: 'pointer',
  otherItems: 'pointer',
  /** `[rows, radix, chunks]`: counts, then places. */
  counts: 'pointer',
  length: 'i32',
  chunks: 'i32',
  digit: 'i32',
  /** 128 for the highest digit, whose negative values come first. */
  flip: 'i32',
} as const;

export type SortPass = 'count' | 'move';

/** One digit of every chunk. Tasks: rows × chunks. */
export const passKernel = typedKernel({
  name: 'sort pass',
  vectorOn: 'invocation',
  key: (pass: SortPass) => pass,
  parameters: passNames,
  text: (k, pass, p) =>
    k.loop(k.begin, k.end, (task) => {
      const chunk = k.rem(task, p.chunks);
      const row = k.div(task, p.chunks);
      const begin = k.mul(chunk, sortChunk);
      const at = k.add(k.mul(row, p.length), begin);
      const count = k.min(k.sub(p.length, begin), sortChunk);
      const keys = k.offset(p.keys, at, 4);
      const digitOf = (key: Pointer): I32 => k.xor(k.loadU8(k.offset(key, p.digit)), p.flip);
      const shared = (digit: I32): Pointer =>
        k.offset(p.counts, k.add(k.mul(k.add(k.mul(row, radix), digit), p.chunks), chunk), 4);
      if (pass === 'count') {
        k.loop(0, radix, (i) => k.store(k.offset(k.scratch, i, 4), k.constant('vi', 0)), k.width);
        k.loop(0, count, (i) => void increment(k, k.offset(k.scratch, digitOf(k.offset(keys, i, 4)), 4)));
        k.loop(0, radix, (digit) => k.store(shared(digit), k.loadI32(k.offset(k.scratch, digit, 4))));
        return;
      }
      k.loop(0, radix, (digit) => k.store(k.offset(k.scratch, digit, 4), k.loadI32(shared(digit))));
      const start = k.mul(row, p.length);
      const to = { keys: k.offset(p.otherKeys, start, 4), items: k.offset(p.otherItems, start, 4) };
      move(k, { keys, items: k.offset(p.items, at, 4) }, to, k.scratch, count, digitOf);
    }),
});

/** Turns the counts of a row into places. Tasks: rows. */
export const placesKernel = typedKernel({
  name: 'sort places',
  vectorOn: 'invocation',
  key: (_: undefined) => '',
  parameters: { counts: 'pointer', chunks: 'i32' },
  text: (k, _, p) =>
    k.loop(k.begin, k.end, (row) => {
      const length = k.mul(p.chunks, radix);
      startsFromCounts(k, k.offset(p.counts, k.mul(row, length), 4), length);
    }),
});
