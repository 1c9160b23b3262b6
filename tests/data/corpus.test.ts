// of data/tokens

import { appendFileSync, chmodSync, mkdirSync, rmSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FormatError, OptionError } from '../../src/core/errors.js';
import { BlockReader } from '../../src/data/blocks.js';
import { Batches, type Corpus, openCorpus } from '../../src/data/index.js';
import { fileOf, temporaryFolder } from './folder.js';

const bytesOf = (corpus: Corpus, begin = 0, end = corpus.size): number[] => {
  const bytes = new Uint8Array(end - begin);
  corpus.read(begin, bytes);
  return [...bytes];
};

describe('openCorpus', () => {
  test('several files are one text, in the order given', () => {
    const corpus = openCorpus([fileOf('abc', 'z'), fileOf('d', 'y'), fileOf('efgh', 'x')]);
    expect(Buffer.from(bytesOf(corpus)).toString()).toBe('abcdefgh');
    expect(corpus.documents.map(({ start, length }) => [start, length])).toEqual([
      [0, 3],
      [3, 1],
      [4, 4],
    ]);
    expect(Array.from({ length: 8 }, (_, i) => corpus.documentAt(i))).toEqual([0, 0, 0, 1, 2, 2, 2, 2]);
  });

  test('any bytes, over the ends of blocks and files, from any slice of a slice', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 }), { minLength: 1, maxLength: 4 }),
        fc.integer({ min: 1, max: 16 }),
        fc.integer({ min: 1, max: 3 }),
        fc.array(fc.tuple(fc.nat(1000), fc.nat(1000)), { minLength: 3, maxLength: 3 }),
        (contents, blockSize, blocks, cuts) => {
          let corpus = openCorpus(
            contents.map((content) => fileOf(content)),
            { blockSize, blocks },
          );
          let expected = contents.flatMap((content) => [...content]);
          for (const cut of cuts) {
            const [begin, end] = cut.map((at) => at % (expected.length + 1)).sort((a, b) => a - b) as [number, number];
            expect(bytesOf(corpus, begin, end)).toEqual(expected.slice(begin, end));
            corpus = corpus.slice(begin, end);
            expected = expected.slice(begin, end);
            expect(corpus.size).toBe(expected.length);
            expect(bytesOf(corpus)).toEqual(expected);
            expect(corpus.documents.reduce((sum, { length }) => sum + length, 0)).toBe(expected.length);
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  test('bytes that are no UTF-8 are bytes', () => {
    const bytes = Uint8Array.from({ length: 512 }, (_, i) => (i * 151) & 255);
    const tokens = new Batches(openCorpus([fileOf(bytes)]), { batchSize: 1, length: 511, order: 'sequential' }).batch(
      0,
    );
    expect([...tokens]).toEqual([...bytes]);
  });

  test('every path that cannot be read is named at once', () => {
    const folder = temporaryFolder();
    const path = (name: string): string => join(folder, name);
    mkdirSync(path('folder'));
    writeFileSync(path('empty'), '');
    writeFileSync(path('good'), 'text');
    const open = (): Corpus =>
      openCorpus(['folder', 'missing', 'good', 'empty', 'good/x', 'n'.repeat(300), '\0'].map(path));
    expect(open).toThrow(FormatError);
    expect(open).toThrow(
      `openCorpus: 6 of 7 paths cannot be read: "${path('folder')}" is a folder; "${path('missing')}" cannot be opened ` +
        `(it does not exist); "${path('empty')}" is empty; "${path('good/x')}" cannot be opened (a part of its path is not a ` +
        `folder); "${path('n'.repeat(300))}" cannot be opened (the name is too long); `,
    );
    expect(() => openCorpus(['/dev/null'])).toThrow('"/dev/null" is not a regular file; name readable files');
    expect(() => openCorpus([])).toThrow(OptionError);
    expect(() => openCorpus([path('good')], { blocks: 0 })).toThrow('blocks must be a whole number of at least 1');
  });

  // everything is readable to root
  test.skipIf(process.getuid?.() === 0)('a file without permission', () => {
    const path = fileOf('text');
    chmodSync(path, 0);
    expect(() => openCorpus([path])).toThrow('permission denied');
  });

  test('a file that changes while it is used is an error, not other text', () => {
    const changes: [(path: string) => void, string][] = [
      [(path) => appendFileSync(path, 'x'), 'was changed since'],
      [(path) => truncateSync(path, 3), 'was changed since'],
      [(path) => utimesSync(path, 1, 1), 'was changed since'],
      [(path) => rmSync(path), 'can no longer be read (it does not exist) since'],
    ];
    for (const [change, message] of changes) {
      const path = fileOf('some text');
      const corpus = openCorpus([path]);
      change(path);
      expect(() => bytesOf(corpus)).toThrow(FormatError);
      expect(() => bytesOf(corpus)).toThrow(message);
    }
  });

  test('places outside are refused', () => {
    const corpus = openCorpus([fileOf('text')]);
    expect(() => bytesOf(corpus, 0, 5)).toThrow('corpus.read: bytes 0 to 5 are not within 0 to 4.');
    expect(() => corpus.slice(3, 2)).toThrow(OptionError);
    expect(() => corpus.slice(-1, 2)).toThrow(OptionError);
    expect(() => corpus.documentAt(4)).toThrow(OptionError);
    expect(() => corpus.slice(2, 2).documentAt(0)).toThrow(OptionError);
  });
});

describe('memory', () => {
  const SIZE = 64 * 2 ** 20;

  test('a file of 64 MiB is read at 3000 places with 1 MiB of blocks', () => {
    const path = fileOf('begin', 'sparse');
    truncateSync(path, SIZE);
    appendFileSync(path, 'end');
    const corpus = openCorpus([path], { blockSize: 16_384, blocks: 64 });
    const into = new Uint8Array(40_000);
    corpus.read(0, into);
    const before = process.memoryUsage().arrayBuffers;
    let most = 0;
    for (let i = 0; i < 3000; i++) {
      corpus.read((i * 7_919_777) % (SIZE - into.length), into);
      most = Math.max(most, process.memoryUsage().arrayBuffers - before);
    }
    expect(most).toBeLessThanOrEqual(2 ** 20);
    corpus.read(SIZE - 2, into.subarray(0, 5));
    expect([...into.subarray(0, 5)]).toEqual([0, 0, 101, 110, 100]);
    corpus.read(0, into.subarray(0, 6));
    expect([...into.subarray(0, 6)]).toEqual([98, 101, 103, 105, 110, 0]);
  });

  test('the least recently used block makes room', () => {
    const path = fileOf('aabbcc');
    const corpus = openCorpus([path], { blockSize: 2, blocks: 2 });
    for (const at of [0, 2, 0, 4]) bytesOf(corpus, at, at + 1);
    rmSync(path);
    // a and c are kept, b was dropped
    expect([bytesOf(corpus, 0, 2), bytesOf(corpus, 4, 6)]).toEqual([
      [97, 97],
      [99, 99],
    ]);
    expect(() => bytesOf(corpus, 2, 3)).toThrow(FormatError);
  });

  test('a file that ends before its size says so', () => {
    const file = { path: fileOf('abc'), size: 3, modified: 0 };
    expect(() => new BlockReader(8, 1).read(file, 0, new Uint8Array(3))).toThrow('was changed since');
  });
});
