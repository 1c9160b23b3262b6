// of attention/patterns/factorised

import { describe, expect, it } from 'vitest';
import { fixed } from '../../../src/attention/patterns/index.js';
import { gate } from '../../contract/gate/index.js';
import { patternOracle } from '../../oracles/graph.js';
import { countsAnyLength, countsPairs } from './pairs.js';

interface Options {
  stride: number;
  columns: number;
  columnGroups: number;
  part: 'union' | 'local' | 'summary';
}

const oracle = patternOracle<Options>(({ options, L, S }, _b, h, i, j) => {
  const { stride: l, part, columnGroups } = options;
  const c = options.columns || Math.max(1, Math.floor(l / 16));
  const last = l - (h % columnGroups) * c;
  const local = Math.floor((i + S - L) / l) === Math.floor(j / l);
  const summary = j % l >= last - c && j % l < last;
  return { local, summary, union: local || summary }[part];
});

gate(fixed, {
  oracle,
  options: [{ stride: 5, columns: 2 }, { stride: 4, columnGroups: 2 }, { stride: 4, part: 'summary' }, {}],
  exactWhen: [{ options: { stride: 17 } }, { options: { stride: 5, columns: 5 } }],
  refused: [{ options: { stride: 4, columns: 5 } }, { options: { stride: 4, columns: 2, columnGroups: 3 } }],
});

describe('fixed', () => {
  countsPairs(fixed, [
    [12_288, { stride: 128, part: 'local' }, true, 792_576],
    [12_288, { stride: 128, columns: 8, part: 'summary' }, true, 4_672_896],
    [12_288, { stride: 128 }, true, 5_462_016],
    [12_288, { stride: 128, columns: 32 }, true, 19_470_336],
    [12_288, { stride: 128, columns: 128 }, true, 75_503_616],
    // the paper's four sub-blocks of a stride, one a head: the union counts the same in each
    [12_288, { stride: 128, columns: 32, columnGroups: 4 }, true, 4 * 19_470_336, 4],
    [4096, { stride: 64, columns: 8 }, true, 1_165_312],
    [1024, { stride: 32, columns: 8 }, true, 143_872],
  ]);
  countsAnyLength(fixed, [
    { stride: 6, columns: 2 },
    { stride: 6, columns: 2, columnGroups: 3 },
    { stride: 6, columns: 2, columnGroups: 2, part: 'summary' },
    {},
  ]);

  it('takes the columns before the last ones in further groups', () => {
    const shape = { B: 1, H: 2, G: 2, L: 8, S: 8, D: 8, E: 8 };
    const options = { stride: 4, columns: 1, columnGroups: 2, part: 'summary' } as const;
    expect(String(fixed.pattern(shape, options))).toBe(
      "byHead([fixed({ stride: 4, columns: 1, part: 'summary' }), fixed({ stride: 4, columns: 1, group: 1, part: 'summary' })])",
    );
  });
});
