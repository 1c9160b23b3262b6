// of data/labelled/read-file

import { join } from 'node:path';
import { writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { FormatError } from '../../../src/core/errors.js';
import { readImages } from '../../../src/data/labelled/idx.js';
import { temporaryFolder } from '../../cli/io.js';

const folder = temporaryFolder();
const file = (name: string, bytes: Uint8Array | readonly number[]): string => {
  writeFileSync(join(folder, name), Uint8Array.from(bytes));
  return join(folder, name);
};
const word = (x: number): number[] => [0, 0, x >> 8, x & 255];
const images = [0, 0, 8, 3, ...word(3), ...word(2), ...word(2), ...Array.from({ length: 12 }, (_, i) => 20 * i)];
const labels = [0, 0, 8, 1, ...word(3), 2, 0, 1];
const good = { images: file('images', images), labels: file('labels', labels) };

test('images are their pixels, row by row; gzip or plain', () => {
  const found = readImages(good.images, good.labels);
  expect([...found.tokens]).toEqual(images.slice(16));
  expect([...found.starts]).toEqual([0, 4, 8, 12]);
  expect([...found.labels]).toEqual([2, 0, 1]);
  const packed = [file('i.gz', gzipSync(Uint8Array.from(images))), file('l.gz', gzipSync(Uint8Array.from(labels)))];
  expect(readImages(packed[0]!, packed[1]!)).toEqual(found);
});

test.each([
  ['text', [...Buffer.from('no image at all')], 'it does not begin with two zero bytes'],
  ['floats', [0, 0, 13, 3, ...images.slice(4)], 'its numbers are of type 13, not unsigned bytes'],
  ['rank', labels, 'it has 1 extents in place of 3'],
  ['short', images.slice(0, -1), '3 × 2 × 2 bytes are 12; it holds 11'],
  ['header', images.slice(0, 9), 'it ends within its header'],
  ['damaged', [0x1f, 0x8b, 1, 2, 3], 'its gzip stream is damaged'],
  ['none', [0, 0, 8, 3, ...word(0), ...word(2), ...word(2)], 'it is empty'],
])('%s: no file of images', (name, bytes, why) => {
  const path = file(name, bytes);
  expect(() => readImages(path, good.labels)).toThrow(
    new FormatError(`labels: "${path}" is no IDX file of images (${why}); name one such as MNIST's.`),
  );
});

test('labels of others', () => {
  const two = file('two', [0, 0, 8, 1, ...word(2), 0, 1]);
  expect(() => readImages(good.images, two)).toThrow(
    /has 3 images and ".*" 2 labels; name two files that belong together/,
  );
  expect(() => readImages(good.images, good.images)).toThrow(/no IDX file of labels/);
});
