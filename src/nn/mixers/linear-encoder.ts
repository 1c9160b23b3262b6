import { learned, normalOf } from '../../attention/parameters.js';
import { defineMixer } from './define.js';
import { costOfTwo, mixByTwo, paper } from './two-matrices.js';

/** Rows and features mixed by a learned matrix each. */
export const linearEncoder = defineMixer({
  name: 'linear-encoder',
  summary: 'Rows mixed by a learned matrix, and features by another: the linear form of which FNet fixes the weights.',
  paper,
  formula: 'out = S x H,  S [L, L] and H [F, F] learned',
  relativeToPaper: 'fewer rows than the layer is made for take the first rows and columns of S, as if zeros followed.',
  options: {},
  supports: { causal: false, padding: true },
  parameters: ({ features, length }) => ({
    rows: learned([length, length], normalOf(0.02)),
    features: learned([features, features], normalOf(0.02)),
  }),
  cost: costOfTwo,
  forward: (call) => mixByTwo(call, 'linear-encoder'),
});
