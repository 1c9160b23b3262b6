// of attention/patterns/image

import { describe } from 'vitest';
import { local2d } from '../../../src/attention/patterns/index.js';
import { gate } from '../../contract/gate/index.js';
import { patternOracle } from '../../oracles/graph.js';
import { countsAnyLength, countsPairs } from './pairs.js';

interface Options {
  height: number;
  width: number;
  blockHeight: number;
  blockWidth: number;
  flangeHeight: number;
  flangeWidth: number;
  order: 'raster' | 'blocks';
}

/** The pixels in the order of the sequence. */
function pixels({ height, width, blockHeight, blockWidth, order }: Options): { y: number; x: number }[] {
  const all = Array.from({ length: height * width }, (_, i) => ({ y: Math.floor(i / width), x: i % width }));
  if (order === 'raster') return all;
  const key = ({ y, x }: { y: number; x: number }): number[] => [
    Math.floor(y / blockHeight),
    Math.floor(x / blockWidth),
    y,
    x,
  ];
  return all.sort((a, b) => {
    const [left, right] = [key(a), key(b)];
    const first = left.findIndex((part, i) => part !== right[i]);
    return left[first]! - right[first]!;
  });
}

const oracle = patternOracle<Options>(({ options, L, S }, _b, _h, i, j) => {
  const { blockHeight, blockWidth, flangeHeight, flangeWidth } = options;
  const order = pixels(options);
  const [query, key] = [order[i + S - L]!, order[j]!];
  const near = (a: number, b: number, block: number, flange: number): boolean => {
    const start = block * Math.floor(a / block);
    return b >= start - flange && b < start + block + flange;
  };
  return near(query.y, key.y, blockHeight, flangeHeight) && near(query.x, key.x, blockWidth, flangeWidth);
});

const small = { blockHeight: 2, blockWidth: 3, flangeHeight: 1, flangeWidth: 2 };

gate(local2d, {
  oracle,
  options: [small, { ...small, order: 'blocks' }, { blockHeight: 2, blockWidth: 2, flangeHeight: 0, flangeWidth: 0 }],
  exactWhen: [{}, { options: { order: 'blocks' } }],
  refused: [{ options: { height: 4, width: 4 } }],
  draw: (next, { S }) => {
    const upTo = (most: number): number => 1 + Math.floor(next() * most);
    const width = upTo(9);
    return {
      width,
      height: Math.ceil(S / width) + Math.floor(next() * 2),
      blockHeight: upTo(4),
      blockWidth: upTo(4),
      flangeHeight: upTo(4) - 1,
      flangeWidth: upTo(4) - 1,
      order: next() < 0.5 ? 'raster' : 'blocks',
    };
  },
});

describe('local-2d', () => {
  // rows and columns that one axis sees, of `count` blocks: all but what is beyond the two ends
  const axis = (count: number, block: number, flange: number): number =>
    block * (count * (block + 2 * flange) - 2 * flange);
  // under causal: fh(qw + 2fw) + qh·fw + (o + 1) keys for a block in the inside, o its raster offset
  const [inside, top, left, right] = [8 * 48 + 8 * 16, 8 * 16, 8 * 32 + 0, 8 * 32 + 8 * 16];
  const own = (128 * 129) / 2;
  // 4 × 4 blocks of 8 × 16: corner, rest of the first row, first column, last column, inside
  const causal = 16 * own + 128 * (3 * top + 3 * left + 3 * right + 3 * 2 * inside);
  countsPairs(local2d, [
    [2048, { height: 32, width: 64 }, false, axis(4, 8, 8) * axis(4, 16, 16)],
    [2048, { height: 32, width: 64, order: 'blocks' }, false, axis(4, 8, 8) * axis(4, 16, 16)],
    [2048, { height: 32, width: 64, order: 'blocks' }, true, causal],
  ]);
  countsAnyLength(local2d, [small, { ...small, order: 'blocks' }, {}]);
});
