import { describe, expect, it } from 'vitest';
import { dilatedWindow, slidingWindow } from '../../../src/attention/patterns/index.js';
import { countPairs } from '../../../src/masks/index.js';
import { gate } from '../../contract/gate/index.js';
import { patternOracle } from '../../oracles/graph.js';
import { countsAnyLength, countsPairs } from './pairs.js';

interface Options {
  radius: number;
  dilations: readonly number[];
}

const oracle = patternOracle<Options>(({ options, L, S }, _b, h, i, j) => {
  const step = options.dilations[h % options.dilations.length]!;
  const distance = Math.abs(i + S - L - j);
  return distance % step === 0 && distance / step <= options.radius;
});

gate(dilatedWindow, {
  oracle,
  options: [{ radius: 2, dilations: [3] }, { radius: 3 }],
  exactWhen: [{ options: { dilations: [1] } }],
  refused: [{ options: { dilations: [] } }],
});

describe('dilated-window', () => {
  countsPairs(dilatedWindow, [
    // n(2r + 1) − e·r(r + 1), and n·W − e·W(W − 1)/2 under causal
    [1000, { radius: 10, dilations: [4] }, false, 1000 * 21 - 4 * 110],
    [1000, { radius: 10, dilations: [4] }, true, 1000 * 11 - 4 * 55],
    [1000, { radius: 10, dilations: [4, 1] }, false, 2 * 1000 * 21 - 5 * 110, 2],
    [20, { radius: 50, dilations: [7] }, false, 20 + 2 * (13 + 6)],
  ]);
  countsAnyLength(dilatedWindow, [{ radius: 4, dilations: [3, 1] }, {}]);

  it('without dilation is the sliding window, and with dilation e such a window on each residue class', () => {
    const shape = { B: 1, H: 1, G: 1, L: 96, S: 96, D: 8, E: 8 };
    const pairs = (radius: number, step: number): number =>
      countPairs(dilatedWindow.pattern(shape, { radius, dilations: [step] })!, shape);
    expect(pairs(6, 1)).toBe(countPairs(slidingWindow.pattern(shape, { radius: 6 })!, shape));
    const third = { ...shape, L: 32, S: 32 };
    expect(pairs(6, 3)).toBe(3 * countPairs(slidingWindow.pattern(third, { radius: 6 })!, third));
  });
});
