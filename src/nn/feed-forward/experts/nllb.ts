import { flag, integer, number } from '../../../attention/options.js';
import { defineFeedForward } from '../define.js';
import { Experts } from './experts.js';
import { costOfExperts, refuseExperts, routerOptions } from './options.js';

/** Two experts for each token, whose weights are shared out again among those that had room. */
export const nllb = defineFeedForward({
  name: 'nllb',
  summary:
    'Two experts with biases for each token, by shares of what had room, of which a part is dropped in training.',
  paper: {
    authors: 'NLLB Team',
    title: 'No Language Left Behind: Scaling Human-Centered Machine Translation',
    year: 2022,
    arxiv: '2207.04672',
  },
  formula:
    'out = Σ_{i: e_i has room} g_i·(1 − ρ)·FFN_{e_i}(x), g_i = p_{e_i}/Σ_{those} p;  losses: α·E·Σ_e f_e·P_e of the batch',
  relativeToPaper:
    'As the published code: room is counted over the batch, outside of training as a part of all its tokens, padding too, which itself goes to no expert; what experts give is 1 − ρ of it outside of training, where dropout in training keeps its mean. Second choices queue behind all first ones, and are always taken.',
  options: {
    ...routerOptions({ experts: 16, balance: 0.01, zLoss: 0 }),
    capacity: number({
      min: 0,
      default: 2,
      help: 'tokens that an expert takes in training, as a multiple of its even share',
    }),
    evaluationShare: number({
      min: 1e-9,
      default: 1,
      help: 'tokens that an expert takes in evaluation, as a part of all of a batch, rounded up',
    }),
    minCapacity: integer({ min: 0, default: 4, help: 'tokens that an expert takes in any case of training' }),
    keptShares: flag({
      default: true,
      help: 'divide the weights of experts that had room by their sum; false: those of both by their sum, whether or not they had',
    }),
    outputDropout: number({
      min: 0,
      max: 0.99,
      default: 0.2,
      help: 'ρ, the part of what experts give that is dropped',
    }),
  },
  defaults: { activation: 'relu' },
  supports: { bias: true },
  refuse: (sizes, own) => refuseExperts(sizes, { ...own, active: 2 }),
  cost: (sizes, own) => costOfExperts(sizes, { ...own, active: 2 }),
  create: (
    sizes,
    { capacity, evaluationShare: share, minCapacity: least, keptShares, outputDropout: dropout, ...own },
  ) =>
    new Experts(
      { ...sizes, bias: sizes.bias ?? true },
      {
        ...own,
        active: 2,
        renormalise: keptShares ? 'kept' : true,
        counts: 'first',
        capacity: { training: capacity, evaluation: capacity, least, share },
        later: { policy: 'all', threshold: 0 },
        group: 'batch',
        groupSize: 0,
        jitter: 0,
        initScale: 1,
        shared: 0,
        sharedGate: false,
        dropout,
      },
    ),
});
