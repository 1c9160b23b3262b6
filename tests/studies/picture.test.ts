import { expect, test } from 'vitest';
import { namedMask } from '../../src/studies/mask-names.js';
import { place } from '../../src/masks/place.js';
import { Mask } from '../../src/masks/index.js';
import { maskPicture, maskPictures } from '../../src/studies/picture.js';

test('a short mask is drawn pair by pair', () => {
  const { cell, cells, zoom } = maskPicture(namedMask('causal-window:2'), 5);
  expect(cell).toBe(1);
  expect(cells).toEqual(['90000', '99000', '09900', '00990', '00099']);
  expect(zoom).toEqual({ first: 0, pairs: cells.map((line) => line.replaceAll('9', '1')) });
});

test.each([
  ['none', 500],
  ['radius:40', 500],
  ['dilated:4:30', 500],
  ['radius:9+global:3/causal', 300],
])('%s over %i: empty and full cells are, mixed ones are drawn between', (name, length) => {
  const mask = namedMask(name);
  const { cell, cells, zoom } = maskPicture(mask, length);
  // a picture of single pairs tells what every cell holds
  const single = pairsOf(name, length);
  cells.forEach((line, row) => {
    [...line].forEach((digit, column) => {
      let [seen, all] = [0, 0];
      for (let q = row * cell; q < Math.min(length, (row + 1) * cell); q++) {
        for (let k = column * cell; k < Math.min(length, (column + 1) * cell); k++) {
          seen += single(q, k);
          all++;
        }
      }
      const right = digit === '0' ? seen === 0 : digit === '9' ? seen === all : seen > 0;
      expect(right).toBe(true);
    });
  });
  zoom.pairs.forEach((line, q) => {
    [...line].forEach((pair, k) => expect(Number(pair)).toBe(single(zoom.first + q, zoom.first + k)));
  });
});

test('where heads differ, the first and the last are drawn', () => {
  const byHead = new Mask('byHead()', () => place.q.sub(place.k).eq(place.h));
  const subject = { name: 'x', label: '', causal: false, mask: byHead, heads: 3 };
  const [first, last, ...more] = maskPictures(subject, 4);
  expect(more).toEqual([]);
  expect([first!.head, last!.head]).toEqual([0, 2]);
  expect(first!.cells).toEqual(['9000', '0900', '0090', '0009']);
  expect(last!.cells).toEqual(['0000', '0000', '9000', '0900']);
  expect(last!.zoom.pairs).toEqual(['0000', '0000', '1000', '0100']);
  expect(maskPictures({ ...subject, heads: 1 }, 4)).toHaveLength(1);
  expect(maskPictures({ ...namedMask('radius:1'), heads: 3 }, 4).map(({ head }) => head)).toEqual([null]);
});

function pairsOf(name: string, length: number): (q: number, k: number) => number {
  const { causal, mask } = namedMask(name);
  const rules: Record<string, (q: number, k: number) => boolean> = {
    none: () => true,
    'radius:40': (q, k) => Math.abs(q - k) <= 40,
    'dilated:4:30': (q, k) => (q - k) % 4 === 0 && Math.abs(q - k) <= 120,
    'radius:9+global:3/causal': (q, k) => k <= q && (Math.abs(q - k) <= 9 || k < 3),
  };
  expect(length > 0 && (mask !== undefined || name === 'none') && (!causal || name.endsWith('/causal'))).toBe(true);
  return (q, k) => Number(rules[name]!(q, k));
}
