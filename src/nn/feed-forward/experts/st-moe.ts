import { choice, number } from '../../../attention/options.js';
import { defineFeedForward } from '../define.js';
import { costOfExperts, refuseExperts } from './options.js';
import { aboutRoom, gshardOptions, twoExperts } from './second.js';

/** Two experts for each token, by a router that is kept stable. */
export const stMoe = defineFeedForward({
  name: 'st-moe',
  summary:
    'Two gated experts for each token, by a router whose logits a loss of their own keeps small, with small first weights.',
  paper: {
    authors: 'Zoph et al.',
    title: 'ST-MoE: Designing Stable and Transferable Sparse Expert Models',
    year: 2022,
    arxiv: '2202.08906',
  },
  formula: 'as gshard;  losses: α·E·Σ_e f_e·P_e + β·mean logsumexp(x·W_r)²',
  relativeToPaper: `Weights begin as N(0, 0.1/inputs), not cut at two deviations. The dense layer that the paper puts before or after a sparse one reads the normalised rows, in which the stream is, and has a norm between; without biases of experts. ${aboutRoom}`,
  options: {
    ...gshardOptions({ experts: 16, balance: 0.01, zLoss: 0.001 }),
    dense: choice(['none', 'before', 'after'], {
      default: 'none',
      help: 'where a dense layer of as many units as an expert has stands: out = d(x) + experts(norm(x + d(x))), or the other way round',
    }),
    initScale: number({ min: 1e-6, default: 0.1, help: 'weights begin as N(0, initScale / inputs)' }),
  },
  defaults: { gated: true, activation: 'gelu' },
  refuse: (sizes, own) => refuseExperts(sizes, { ...own, active: 2 }),
  cost: (sizes, own) => costOfExperts(sizes, { ...own, active: 2 }),
  create: (sizes, { initScale, dense, ...own }) => twoExperts(sizes, own, { initScale, dense }),
});
