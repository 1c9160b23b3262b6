// of attention/pairs

import { describe, expect, it } from 'vitest';
import { slidingWindow } from '../../../src/attention/patterns/index.js';
import { gate } from '../../contract/gate/index.js';
import { patternOracle } from '../../oracles/graph.js';
import { countsAnyLength, countsPairs } from './pairs.js';

interface Options {
  radius: number;
  left: number;
  right: number;
  causalWindow: number;
}

const oracle = patternOracle<Options>(({ options, L, S }, _b, _h, i, j) => {
  const distance = i + S - L - j;
  const { radius, left, right, causalWindow } = options;
  if (causalWindow > 0) return distance >= 0 && distance < causalWindow;
  return distance <= (left < 0 ? radius : left) && -distance <= (right < 0 ? radius : right);
});

gate(slidingWindow, {
  oracle,
  options: [{ radius: 3 }, { left: 0, right: 2 }, { causalWindow: 4 }],
  exactWhen: [{}, { options: { radius: 16 } }, { options: { causalWindow: 17 }, causal: true }],
  refused: [{ options: { causalWindow: 3, left: 2 } }],
});

describe('sliding-window', () => {
  countsPairs(slidingWindow, [
    [4096, { radius: 256 }, false, 2_035_456],
    [4096, { radius: 512 }, false, 3_935_744],
    [1024, { radius: 128 }, false, 246_656],
    [1024, { radius: 5000 }, false, 1024 ** 2],
    [1024, { radius: 5000 }, true, 524_800],
    // the window of the Sparse Transformer, as in the paper and as in its code
    [12_288, { causalWindow: 129 }, true, 1_576_896],
    [12_288, { causalWindow: 128 }, true, 1_564_736],
    [4096, { radius: 256 }, false, 12 * 2_035_456, 12],
    [77, { radius: 0 }, false, 77],
  ]);
  countsAnyLength(slidingWindow, [{ radius: 3 }, { left: 5, right: 0 }, { causalWindow: 9 }, {}]);

  it('refuses contradictions with a sentence', () => {
    const shape = { B: 1, H: 1, G: 1, L: 9, S: 9, D: 8, E: 8 };
    expect(() => slidingWindow.pattern(shape, { causalWindow: 3, left: 2 })).toThrow(
      'causalWindow 3 stands in place of left and right; got left 2, right -1',
    );
  });
});
