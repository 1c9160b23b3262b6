import { defineFeedForward } from '../define.js';
import { costOfExperts, refuseExperts } from './options.js';
import { aboutRoom, gshardOptions, twoExperts } from './second.js';

/** Two experts for each token, the second by chance. */
export const gshard = defineFeedForward({
  name: 'gshard',
  summary:
    'A router sends each token to the expert it likes best and, with a chance that grows with its weight, to the next.',
  paper: {
    authors: 'Lepikhin et al.',
    title: 'GShard: Scaling Giant Models with Conditional Computation and Automatic Sharding',
    year: 2020,
    arxiv: '2006.16668',
  },
  formula:
    'out = g₁·FFN_{e₁}(x) + g₂·FFN_{e₂}(x), g_i = p_{e_i}/(p_{e₁} + p_{e₂}), the second with probability min(1, g₂/t);  losses: α·E·Σ_e f_e·P_e of each group',
  relativeToPaper: `The chance of the second expert is that of Mesh TensorFlow, t = 0.2. ${aboutRoom}`,
  options: gshardOptions({ experts: 16, balance: 0.01, zLoss: 0 }),
  defaults: { activation: 'relu' },
  refuse: (sizes, own) => refuseExperts(sizes, { ...own, active: 2 }),
  cost: (sizes, own) => costOfExperts(sizes, { ...own, active: 2 }),
  create: (sizes, own) => twoExperts(sizes, own),
});
