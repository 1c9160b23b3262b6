import { number } from '../../../attention/options.js';
import { defineFeedForward } from '../define.js';
import { Experts } from './experts.js';
import { capacityOptions, costOfExperts, refuseExperts, routerOptions } from './options.js';

/** Of the noise on what the router reads. */
export const jitterOption = (usual: number) =>
  number({ min: 0, max: 0.99, default: usual, help: 'the router reads x·U(1 − ε, 1 + ε) in training; 0: x' });

/** One expert for each token. */
export const switchExperts = defineFeedForward({
  name: 'switch',
  summary: 'A router sends each token to one of several experts, which have room for few more than their even share.',
  paper: {
    authors: 'Fedus, Zoph, Shazeer',
    title: 'Switch Transformers: Scaling to Trillion Parameter Models with Simple and Efficient Sparsity',
    year: 2021,
    arxiv: '2101.03961',
  },
  formula:
    'out = p_e(x)·FFN_e(x), e = argmax p(x), p = softmax(x·W_r); 0 where e has no room;  losses: α·E·Σ_e f_e·P_e',
  relativeToPaper:
    'Room is counted in tokens of a sequence, not of what a device holds of a batch, and tokens without room are those that come last. Weights begin as N(0, 0.1/inputs), not cut at two deviations. In a session the tokens of a call share the room: in a step of one token nothing is dropped.',
  options: {
    ...routerOptions({ experts: 8, balance: 0.01, zLoss: 0 }),
    ...capacityOptions(0),
    jitter: jitterOption(0.01),
    initScale: number({ min: 1e-6, default: 0.1, help: 'weights begin as N(0, initScale / inputs)' }),
  },
  defaults: { activation: 'relu' },
  refuse: (sizes, own) => refuseExperts(sizes, { ...own, active: 1 }),
  cost: (sizes, own) => costOfExperts(sizes, { ...own, active: 1 }),
  create: (sizes, { capacity, evaluationCapacity, minCapacity, ...own }) =>
    new Experts(sizes, {
      ...own,
      active: 1,
      renormalise: false,
      counts: 'first',
      capacity: { training: capacity, evaluation: evaluationCapacity, least: minCapacity },
      later: { policy: 'all', threshold: 0 },
      shared: 0,
      sharedGate: false,
    }),
});
