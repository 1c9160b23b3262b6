import { describe, expect, it } from 'vitest';
import { staggeredBlocks } from '../../../src/attention/patterns/index.js';
import { gate } from '../../contract/gate/index.js';
import { patternOracle } from '../../oracles/graph.js';
import { countsAnyLength, countsPairs } from './pairs.js';

interface Options {
  blockSize: number;
  shift: number;
  numGlobals: number;
}

const oracle = patternOracle<Options>(({ options, L, S }, _b, _h, i, j) => {
  const { blockSize: b, shift, numGlobals: g } = options;
  const query = i + S - L;
  const block = (x: number): number => Math.floor((x - g + shift) / b);
  return query < g || j < g || block(query) === block(j);
});

gate(staggeredBlocks, {
  oracle,
  options: [
    { blockSize: 5, numGlobals: 2 },
    { blockSize: 6, shift: 3, numGlobals: 1 },
    { blockSize: 4, shift: 1, numGlobals: 0 },
  ],
  exactWhen: [{}, { options: { blockSize: 64, numGlobals: 0 } }],
});

describe('staggered-blocks', () => {
  const [b, g] = [64, 16];
  countsPairs(staggeredBlocks, [
    // global rows see all; others the global tokens and their block
    [1040, { blockSize: b, numGlobals: g }, false, g * 1040 + 1024 * (g + b)],
    // the first and the last block are half as long
    [1040, { blockSize: b, numGlobals: g, shift: b / 2 }, false, g * 1040 + 1024 * g + 15 * b * b + 2 * (b / 2) ** 2],
    [1024, { blockSize: b, numGlobals: 0 }, true, (1024 / b) * ((b * (b + 1)) / 2)],
  ]);
  countsAnyLength(staggeredBlocks, [{ blockSize: 8, numGlobals: 3 }, { blockSize: 8, numGlobals: 3, shift: 4 }, {}]);

  it('refuses blocks that begin a whole block before', () => {
    const shape = { B: 1, H: 1, G: 1, L: 9, S: 9, D: 8, E: 8 };
    expect(() => staggeredBlocks.settle(shape, { blockSize: 4, shift: 4 })).toThrow('shift must be below blockSize 4');
  });
});
