import { describe, expect, test } from 'vitest';
import { OptionError } from '../../src/core/errors.js';
import { Batches, type BatchOptions, openCorpus } from '../../src/data/index.js';
import { fileOf } from './folder.js';

const counting = (n: number, from = 0): Uint8Array => Uint8Array.from({ length: n }, (_, i) => (from + i) & 255);
const batches = (sizes: readonly number[], options: Partial<BatchOptions> = {}): Batches =>
  new Batches(openCorpus(sizes.map((size, i) => fileOf(counting(size, 100 * i)))), {
    batchSize: 3,
    length: 4,
    seed: 7,
    ...options,
  });

describe('windows', () => {
  test('in order: rows are L + 1 bytes, each begins with the last of the one before', () => {
    const ordered = batches([13], { order: 'sequential' });
    expect([ordered.windows, ordered.unused]).toEqual([3, 0]);
    expect([...ordered.batch(0)]).toEqual([0, 1, 2, 3, 4, 4, 5, 6, 7, 8, 8, 9, 10, 11, 12]);
    expect(ordered.batch(1)).toEqual(ordered.batch(0));
  });

  test('every window comes once an epoch, whether or not the batch size divides their number', () => {
    for (const [size, batchSize] of [
      [401, 4],
      [404, 7],
      [50, 64],
      [5, 3],
    ] as const) {
      const shuffled = batches([size], { batchSize });
      const all = Array.from({ length: shuffled.windows }, (_, i) => 4 * i);
      const drawn = Array.from({ length: 3 * shuffled.windows }, (_, step) => shuffled.starts(step)).flat();
      for (let epoch = 0; epoch < 3; epoch++) {
        const one = drawn.slice(epoch * all.length, (epoch + 1) * all.length);
        if (all.length > 10) expect(one).not.toEqual(all);
        expect(one.sort((a, b) => a - b)).toEqual(all);
      }
      expect(shuffled.unused).toBe((size - 1) % 4);
    }
  });

  test('epochs and seeds have orders of their own', () => {
    const order = (seed: number, epoch: number): string =>
      String(batches([401], { seed, batchSize: 100 }).starts(epoch));
    expect(new Set([order(0, 0), order(0, 1), order(0, 2), order(1, 0), order(1, 1)]).size).toBe(5);
    expect(batches([401], { batchSize: 10 }).epochAt(15)).toBe(1.5);
  });

  test('a run resumed at any step goes on with the same batches', () => {
    const run = batches([300, 500]);
    const whole = Array.from({ length: 150 }, (_, step) => run.batch(step));
    for (const step of [0, 1, 65, 66, 67, 149]) expect(batches([300, 500]).batch(step)).toEqual(whole[step]);
    // and one that goes back, or asks twice
    for (const step of [149, 3, 67, 3]) expect(run.batch(step)).toEqual(whole[step]);
    expect(run.batch(10 ** 12)).toEqual(batches([300, 500]).batch(10 ** 12));
  });

  test('joined windows run over documents, and say which token is whose', () => {
    const joined = batches([6, 1, 6], { batchSize: 3, order: 'sequential' });
    expect([...joined.batch(0)]).toEqual([0, 1, 2, 3, 4, 4, 5, 100, 200, 201, 201, 202, 203, 204, 205]);
    expect([...joined.documents(0)]).toEqual([0, 0, 0, 0, 0, 0, 0, 1, 2, 2, 2, 2, 2, 2, 2]);
  });

  test('separate windows lie within one document; what is too short is left out, and counted', () => {
    const separate = batches([10, 4, 5, 9], { batchSize: 5, order: 'sequential', documents: 'separate' });
    expect(separate.starts(0)).toEqual([0, 4, 14, 19, 23]);
    expect([separate.windows, separate.unused]).toEqual([5, 1 + 4]);
    const ids = separate.documents(0);
    for (let row = 0; row < 5; row++) expect(new Set(ids.subarray(5 * row, 5 * row + 5)).size).toBe(1);
  });
});

describe('streams', () => {
  test('each row continues the row of the batch before; at the end of the streams all begin again', () => {
    // 9 windows: 3 streams of 3
    const streams = batches([40], { order: 'streams' });
    expect([streams.windows, streams.unused]).toEqual([9, 3]);
    const steps = [0, 1, 2, 3].map((step) => streams.starts(step));
    expect(steps).toEqual([
      [0, 12, 24],
      [4, 16, 28],
      [8, 20, 32],
      [0, 12, 24],
    ]);
    expect([0, 1, 2, 3, 4, 5, 6].map((step) => streams.startsAnew(step))).toEqual([
      true,
      false,
      false,
      true,
      false,
      false,
      true,
    ]);
    expect([...streams.batch(1)]).toEqual([4, 5, 6, 7, 8, 16, 17, 18, 19, 20, 28, 29, 30, 31, 32]);
    expect(streams.epochAt(6)).toBe(2);
  });

  test('windows that no stream has room for are unused; streams cross documents', () => {
    const streams = batches([21, 24], { order: 'streams' });
    expect([streams.windows, streams.unused]).toEqual([9, 45 - 37]);
    expect([...streams.documents(1)]).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1]);
    expect([...streams.documents(2)].slice(5, 10)).toEqual([0, 1, 1, 1, 1]);
  });

  test('other orders never continue', () => {
    expect(batches([40]).startsAnew(1)).toBe(true);
    expect(batches([40], { order: 'sequential' }).startsAnew(1)).toBe(true);
    expect(() => batches([40], { order: 'streams' }).startsAnew(-1)).toThrow(OptionError);
  });

  test('refusals: fewer windows than streams, documents apart', () => {
    expect(() => batches([9], { order: 'streams' })).toThrow(
      '3 streams take a window of length 4 each, the text has 2: give more text, a smaller length or a smaller batchSize.',
    );
    expect(batches([13], { order: 'streams' }).windows).toBe(3);
    expect(() => batches([40], { order: 'streams', documents: 'separate' })).toThrow('leave documents "joined"');
    expect(() => batches([40], { order: 'random' as 'streams' })).toThrow('"streams"; got "random"');
  });
});

describe('refusals', () => {
  test('a text shorter than one window', () => {
    expect(() => batches([4])).toThrow(
      new OptionError(
        'batches: a window of length 4 takes 5 bytes, the text has 4: give more text, or a length of at most 3.',
      ),
    );
    expect(() => batches([1])).toThrow('the text has 1: give more text.');
    expect(() => batches([4, 3], { documents: 'separate' })).toThrow('the longest document has 4: give');
    expect(batches([4, 3]).windows).toBe(1);
    expect(batches([5]).windows).toBe(1);
  });

  test('every wrong option at once', () => {
    const documents = 'both' as 'joined';
    expect(() => batches([9], { batchSize: 0, length: 1.5, seed: -1, documents })).toThrow(
      new OptionError(
        'batches: batchSize must be a whole number from 1 to 2^31 - 1; got 0; length must be a whole number from 1 to ' +
          '2^31 - 1; got 1.5; seed must be a whole number of at least 0; got -1; documents must be "joined" or "separate"; ' +
          'got "both".',
      ),
    );
    expect(() => batches([9], { batchsize: 1 } as Partial<BatchOptions>)).toThrow('did you mean "batchSize"?');
  });

  test.each([-1, 0.5, NaN, 2 ** 53])('step %d', (step) => {
    expect(() => batches([9]).batch(step)).toThrow(OptionError);
  });
});
