import { describe, expect, it } from 'vitest';
import { blockwise } from '../../../src/attention/patterns/index.js';
import { predicate } from '../../masks/brute.js';
import { gate } from '../../contract/gate/index.js';
import { patternOracle } from '../../oracles/graph.js';
import { countsAnyLength, countsPairs } from './pairs.js';

interface Options {
  numBlocks: number;
  shifts: readonly number[];
}

const oracle = patternOracle<Options>(({ options, S, H, causal }, _b, h, i, j) => {
  const { numBlocks: b, shifts } = options;
  // for the heads of the gate: the last heads have the shifts, one each
  const identity = H - Math.min(1, Math.floor(H / b)) * (b - 1);
  const rule = causal || h < identity ? 0 : 1 + h - identity;
  const shift = shifts.length > 0 ? shifts[h % shifts.length]! : rule;
  return (Math.floor((i * b) / S) + shift) % b === Math.floor((j * b) / S);
});

gate(blockwise, {
  oracle,
  options: [{}, { numBlocks: 3, shifts: [0, 2] }, { numBlocks: 4, shifts: [0] }],
  exactWhen: [{ options: { numBlocks: 1 } }],
  refused: [{ options: { numBlocks: 18 } }],
  draw: (next, { S }) => ({
    numBlocks: 1 + Math.floor(next() * Math.min(6, S)),
    shifts: [Math.floor(next() * 3), Math.floor(next() * 3)],
  }),
  except: { 'padding equals removal': 'the blocks are parts of the whole length, padding included' },
});

describe('blockwise', () => {
  countsPairs(blockwise, [
    [1024, { numBlocks: 4 }, false, (12 * 1024 ** 2) / 4, 12],
    [1024, { numBlocks: 2, shifts: [1] }, false, 1024 ** 2 / 2],
    [1024, { numBlocks: 4, shifts: [0] }, true, 4 * ((256 * 257) / 2)],
  ]);
  countsAnyLength(blockwise, [{}, { numBlocks: 1 }]);

  const shape = { B: 1, H: 12, G: 12, L: 12, S: 12, D: 8, E: 8 };
  it.each([
    [2, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1]],
    [3, [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 2]],
    [4, [0, 0, 0, 0, 0, 0, 1, 1, 2, 2, 3, 3]],
  ])('shares %i permutations out over 12 heads as the paper does', (numBlocks, shifts) => {
    const sees = predicate(blockwise.pattern(shape, { numBlocks })!.expression(shape), shape);
    const size = 12 / numBlocks;
    const seen = shifts.map((_, h) => [0, 1, 2, 3].find((block) => block < numBlocks && sees(0, h, 0, block * size)));
    expect(seen).toEqual(shifts);
  });

  it('refuses to look ahead', () => {
    expect(() => blockwise.pattern(shape, { numBlocks: 3, shifts: [0, 1], causal: true })).toThrow(
      'under causal a block can only see itself, so shifts must be 0; got 0+1',
    );
  });
});
