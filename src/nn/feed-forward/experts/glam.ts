import { defineFeedForward } from '../define.js';
import { costOfExperts, refuseExperts } from './options.js';
import { aboutRoom, gshardOptions, twoExperts } from './second.js';

/** GShard's routing of gated experts in a decoder. */
export const glam = defineFeedForward({
  name: 'glam',
  summary: 'Two of 64 gated experts for each token, in every other layer of a decoder.',
  paper: {
    authors: 'Du et al.',
    title: 'GLaM: Efficient Scaling of Language Models with Mixture-of-Experts',
    year: 2021,
    arxiv: '2112.06905',
  },
  formula: 'as gshard, with FFN_e(x) = (gelu(x·W_g) ⊙ x·W₁)·W₂',
  relativeToPaper: `The paper does not say how second experts are drawn and what is dropped: both are as in GShard. ${aboutRoom}`,
  options: gshardOptions({ experts: 64, balance: 0.01, zLoss: 0 }),
  defaults: { gated: true, activation: 'gelu' },
  refuse: (sizes, own) => refuseExperts(sizes, { ...own, active: 2 }),
  cost: (sizes, own) => costOfExperts(sizes, { ...own, active: 2 }),
  create: (sizes, own) => twoExperts(sizes, own),
});
