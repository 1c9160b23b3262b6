import { strided as stridedMask } from '../../masks/index.js';
import { defineAttention } from '../define.js';
import { choice, integer } from '../options.js';
import { costOfPairs } from '../pairs.js';
import { stridedPairs } from './factorised.js';
import { nearRoot } from './rows.js';

/** The strided pattern of the Sparse Transformer: the keys near the query, and every stride-th key. */
export const strided = defineAttention({
  name: 'strided',
  family: 'patterns',
  summary: 'Each query sees the keys near it and every stride-th key, so any two positions are two steps apart.',
  paper: {
    authors: 'Child, Gray, Radford, Sutskever',
    title: 'Generating Long Sequences with Sparse Transformers',
    year: 2019,
    arxiv: '1904.10509',
  },
  formula: 'keys of query i: { j : |i − j| < l } ∪ { j : (i − j) mod l = 0 },  l = stride ≈ √n',
  complexity: 'n·√n·d',
  exactness: 'exact on its support',
  relativeToPaper:
    'the window holds l keys with the query itself, as in the code; the l + 1 of the paper give the same union. The bidirectional form is the mirrored one.',
  options: {
    stride: integer({
      min: 1,
      default: ({ S }) => nearRoot(S),
      help: 'step of the far keys and reach of the near ones',
    }),
    part: choice(['union', 'local', 'summary'], { default: 'union', help: 'near keys, far keys, or both' }),
  },
  supports: { causal: true, cross: false, padding: true, score: true, groupedHeads: true, decode: 'cache' },
  pattern: (_, { stride, part }) => stridedMask({ stride, part }),
  cost: (shape, { stride, part }, causal) => costOfPairs(shape, shape.H * stridedPairs(shape, stride, part, causal)),
});
