import { describe } from 'vitest';
import { sparseTransformer } from '../../../src/attention/patterns/index.js';
import { gate } from '../../contract/gate/index.js';
import { patternOracle } from '../../oracles/graph.js';
import { countsAnyLength, countsPairs } from './pairs.js';

interface Options {
  base: 'strided' | 'fixed';
  integration: 'merged' | 'interleaved' | 'multihead';
  layer: number;
  stride: number;
  columns: number;
  columnGroups: number;
}

const oracle = patternOracle<Options>(({ options, L, S }, _b, h, i, j) => {
  const { base, integration, layer, stride: l, columnGroups } = options;
  const query = i + S - L;
  // of the heads in turn: the near and the far pattern with the first columns, then with the next ones
  const turn = integration === 'multihead' ? Math.floor(h / 2) : h;
  const c = options.columns || Math.max(1, Math.floor(l / 16));
  const last = l - (turn % columnGroups) * c;
  const near = base === 'strided' ? Math.abs(query - j) < l : Math.floor(query / l) === Math.floor(j / l);
  const far = base === 'strided' ? (query - j) % l === 0 : j % l >= last - c && j % l < last;
  if (integration === 'merged') return near || far;
  return (integration === 'interleaved' ? layer : h) % 2 === 0 ? near : far;
});

gate(sparseTransformer, {
  oracle,
  options: [
    { stride: 4 },
    { integration: 'multihead' },
    { integration: 'interleaved', layer: 3 },
    { base: 'fixed', stride: 6, columns: 2, columnGroups: 2 },
    { base: 'fixed', stride: 6, columns: 2, columnGroups: 2, integration: 'multihead' },
  ],
  exactWhen: [{ options: { stride: 17 } }, { options: { base: 'fixed', stride: 17 } }],
  refused: [{ options: { base: 'fixed', stride: 4, columns: 3, columnGroups: 2 } }],
});

describe('sparse-transformer', () => {
  countsPairs(sparseTransformer, [
    [12_288, { stride: 128 }, true, 2_148_416],
    [12_288, { stride: 128, base: 'fixed', columns: 32, columnGroups: 4 }, true, 8 * 19_470_336, 8],
    [12_288, { stride: 128, integration: 'multihead' }, true, 1_564_736 + 595_968, 2],
    [12_288, { stride: 128, integration: 'interleaved', layer: 30 }, true, 1_564_736],
    [12_288, { stride: 128, base: 'fixed', integration: 'interleaved', layer: 31 }, true, 4_672_896],
  ]);
  countsAnyLength(sparseTransformer, [
    { integration: 'multihead' },
    { base: 'fixed', integration: 'multihead', stride: 6, columnGroups: 3 },
  ]);
});
