// of attention/patterns/rows

import { describe } from 'vitest';
import { axial } from '../../../src/attention/patterns/index.js';
import { gate } from '../../contract/gate/index.js';
import { patternOracle } from '../../oracles/graph.js';
import { countsAnyLength, countsPairs } from './pairs.js';

interface Options {
  width: number;
  axis: 'alternate' | 'row' | 'column';
}

const oracle = patternOracle<Options>(({ options: { width, axis }, L, S }, _b, h, i, j) => {
  const query = i + S - L;
  const row = Math.floor(query / width) === Math.floor(j / width);
  const column = query % width === j % width;
  return axis === 'alternate' ? (h % 2 === 0 ? row : column) : { row, column }[axis];
});

gate(axial, {
  oracle,
  options: [{}, { width: 4, axis: 'row' }, { axis: 'column' }],
  // an image of one row, or of one column
  exactWhen: [{ options: { width: 17, axis: 'row' } }, { options: { width: 1, axis: 'column' } }],
});

describe('axial', () => {
  countsPairs(axial, [
    [48 * 64, { width: 64, axis: 'row' }, false, 48 * 64 ** 2],
    [48 * 64, { width: 64, axis: 'column' }, false, 64 * 48 ** 2],
    // both axes, H·W·(H + W)
    [48 * 64, { width: 64 }, false, 48 * 64 * (48 + 64), 2],
    [4096, {}, true, 2 * 64 * ((64 * 65) / 2), 2],
  ]);
  countsAnyLength(axial, [{}, { width: 7 }, { width: 9, axis: 'column' }]);
});
