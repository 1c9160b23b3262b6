import { attendWithin, defineAttention } from '../define.js';
import { allPairs } from '../pairs.js';

/** Exact attention in tiles with a running softmax: `out = softmax(scale · q kᵀ) v` without the n×n matrix. */
export const flash = defineAttention({
  name: 'flash',
  family: 'exact',
  summary: 'Exact attention in tiles with a running softmax: no n×n matrix is ever stored.',
  paper: {
    authors: 'Dao',
    title: 'FlashAttention-2: Faster Attention with Better Parallelism and Work Partitioning',
    year: 2023,
    arxiv: '2307.08691',
  },
  formula: 'out_i = Σ_j exp(s_ij − l_i) v_j,  s = scale · q kᵀ,  l_i = log Σ_j exp(s_ij)',
  complexity: 'n²·d',
  exactness: 'exact',
  options: {},
  supports: { causal: true, cross: true, padding: true, score: true, groupedHeads: true, decode: 'cache' },
  cost: (shape, _, causal) => allPairs(shape, causal),
  takesHalves: true,
  forward: attendWithin,
});
