import { byHead, fixed, strided, type Mask } from '../../masks/index.js';
import { defineAttention } from '../define.js';
import { choice, integer, type AttentionShape } from '../options.js';
import { costOfPairs } from '../pairs.js';
import { columnFaults, columnsOf, fixedPairs, groupsOf, stridedPairs, type Part } from './factorised.js';
import { nearRoot, overHeads } from './rows.js';

interface SparseOptions {
  readonly base: 'strided' | 'fixed';
  readonly integration: 'merged' | 'interleaved' | 'multihead';
  readonly layer: number;
  readonly stride: number;
  readonly columns: number;
  readonly columnGroups: number;
}

interface HeadRule {
  readonly part: Part;
  readonly group: number;
}

/** What the heads do in turn: parts first, so that each part meets every group. */
function turnsOf({ base, integration, layer, columnGroups }: SparseOptions): readonly HeadRule[] {
  const parts: readonly Part[] =
    integration === 'merged'
      ? ['union']
      : integration === 'multihead'
        ? ['local', 'summary']
        : [layer % 2 === 0 ? 'local' : 'summary'];
  const groups = base === 'fixed' ? groupsOf(columnGroups) : [0];
  return groups.flatMap((group) => parts.map((part) => ({ part, group })));
}

function maskOf({ base, stride, ...options }: SparseOptions, { part, group }: HeadRule): Mask {
  if (base === 'strided') return strided({ stride, part });
  return fixed({ stride, columns: columnsOf({ stride, ...options }), group, part });
}

function pairsOf(shape: AttentionShape, options: SparseOptions, { part, group }: HeadRule, causal: boolean): number {
  const { base, stride } = options;
  if (base === 'strided') return stridedPairs(shape, stride, part, causal);
  return fixedPairs(shape, { stride, columns: columnsOf(options), group }, part, causal);
}

/** The two patterns of the Sparse Transformer put together in one of its three ways. */
export const sparseTransformer = defineAttention({
  name: 'sparse-transformer',
  family: 'patterns',
  summary: 'Two sparse patterns, one near and one far, shared out over layers or heads or merged in each head.',
  paper: {
    authors: 'Child, Gray, Radford, Sutskever',
    title: 'Generating Long Sequences with Sparse Transformers',
    year: 2019,
    arxiv: '1904.10509',
  },
  formula:
    'merged: A1 ∪ A2;  interleaved: A1 in even layers, A2 in odd ones;  multihead: A1 in even heads, A2 in odd ones',
  complexity: 'n·√n·d',
  exactness: 'exact on its support',
  relativeToPaper:
    'the bidirectional forms drop j ≤ i. A far pattern of fixed blocks alone leaves the first queries without a key under causal: their output is 0.',
  options: {
    base: choice(['strided', 'fixed'], { default: 'strided', help: 'which pair of patterns' }),
    integration: choice(['merged', 'interleaved', 'multihead'], {
      default: 'merged',
      help: 'how they are put together',
    }),
    layer: integer({ min: 0, default: 0, help: 'number of the layer, for interleaved: even ones near, odd ones far' }),
    stride: integer({ min: 1, default: ({ S }) => nearRoot(S), help: 'step or block of the far pattern' }),
    columns: integer({
      min: 0,
      default: 0,
      help: 'fixed: summary keys of a block; 0: a sixteenth of stride, at least 1',
    }),
    columnGroups: integer({ min: 1, default: 1, help: 'fixed: different sets of summary keys, of the heads in turn' }),
  },
  supports: { causal: true, cross: false, padding: true, score: true, groupedHeads: true, decode: 'cache' },
  refuse: (_, options) =>
    options.base === 'fixed' ? columnFaults(columnsOf(options), options.columnGroups, options.stride) : [],
  pattern: ({ H }, options) =>
    byHead(
      turnsOf(options)
        .slice(0, H)
        .map((turn) => maskOf(options, turn)),
    ),
  cost: (shape, options, causal) =>
    costOfPairs(
      shape,
      overHeads(
        shape.H,
        turnsOf(options).map((turn) => pairsOf(shape, options, turn, causal)),
      ),
    ),
});
