import { choice } from '../../../attention/options.js';
import { defineFeedForward } from '../define.js';
import { Experts } from './experts.js';
import { costOfExperts, refuseExperts, routerOptions, sharedOptions } from './options.js';
import { jitterOption } from './switch.js';

/** Few experts for each token, none of which is ever full. */
export const mixtral = defineFeedForward({
  name: 'mixtral',
  summary:
    'The few gated experts of largest probability for each token, all of which it gets: no room that could run out.',
  paper: { authors: 'Jiang et al.', title: 'Mixtral of Experts', year: 2024, arxiv: '2401.04088' },
  formula: 'out = Σ_{e ∈ TopK(p)} p_e/Σ_TopK p · FFN_e(x), p = softmax(x·W_r), FFN_e(x) = (silu(x·W_g) ⊙ x·W₁)·W₂',
  relativeToPaper:
    'The paper does not say how experts are balanced; the loss counts all choices of a token, as the published code does, and is of each layer by itself. renormalise false is OLMoE, a shared layer with a gate Qwen2-MoE.',
  options: {
    ...routerOptions({ experts: 8, balance: 0.001, zLoss: 0 }),
    ...sharedOptions,
    jitter: jitterOption(0),
    counts: choice(['first', 'all'], { default: 'all', help: 'choices of a token that the balance counts' }),
  },
  defaults: { gated: true, activation: 'silu' },
  refuse: (sizes, own) => refuseExperts(sizes, own),
  cost: (sizes, own) => costOfExperts(sizes, own),
  create: (sizes, own) =>
    new Experts(sizes, {
      ...own,
      capacity: undefined,
      later: { policy: 'all', threshold: 0 },
      group: 'batch',
      groupSize: 0,
      initScale: 1,
    }),
});
