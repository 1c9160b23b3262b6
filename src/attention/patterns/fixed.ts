import { byHead, fixed as fixedMask } from '../../masks/index.js';
import { defineAttention } from '../define.js';
import { choice, integer } from '../options.js';
import { costOfPairs } from '../pairs.js';
import { columnFaults, columnsOf, fixedPairs, groupsOf } from './factorised.js';
import { nearRoot, overHeads } from './rows.js';

/** The fixed pattern of the Sparse Transformer: the query's own block, and the last columns of every block. */
export const fixed = defineAttention({
  name: 'fixed',
  family: 'patterns',
  summary: 'Each query sees its own block and a few summary keys of every block.',
  paper: {
    authors: 'Child, Gray, Radford, Sutskever',
    title: 'Generating Long Sequences with Sparse Transformers',
    year: 2019,
    arxiv: '1904.10509',
  },
  formula: 'keys of query i: { j : ⌊j/l⌋ = ⌊i/l⌋ } ∪ { j : j mod l ≥ l − c },  l = stride, c = columns',
  complexity: 'n·√n·c·d',
  exactness: 'exact on its support',
  relativeToPaper: 'positions count from 0; the bidirectional form drops j ≤ i.',
  options: {
    stride: integer({ min: 1, default: ({ S }) => nearRoot(S), help: 'positions of a block' }),
    columns: integer({ min: 0, default: 0, help: 'summary keys of a block; 0: a sixteenth of stride, at least 1' }),
    columnGroups: integer({
      min: 1,
      default: 1,
      help: 'different sets of summary keys: heads in turn take the last columns, those before them, …',
    }),
    part: choice(['union', 'local', 'summary'], { default: 'union', help: 'own block, summary keys, or both' }),
  },
  supports: { causal: true, cross: false, padding: true, score: true, groupedHeads: true, decode: 'cache' },
  refuse: (_, { columnGroups, ...rule }) => columnFaults(columnsOf(rule), columnGroups, rule.stride),
  pattern: ({ H }, { columnGroups, part, ...rule }) => {
    const columns = columnsOf(rule);
    return byHead(
      groupsOf(Math.min(H, columnGroups)).map((group) => fixedMask({ stride: rule.stride, columns, group, part })),
    );
  },
  cost: (shape, { columnGroups, part, ...rule }, causal) => {
    const columns = columnsOf(rule);
    const perGroup = groupsOf(columnGroups).map((group) =>
      fixedPairs(shape, { stride: rule.stride, columns, group }, part, causal),
    );
    return costOfPairs(shape, overHeads(shape.H, perGroup));
  },
});
