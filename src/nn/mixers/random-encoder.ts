import { drawn, normalOf } from '../../attention/parameters.js';
import { defineMixer } from './define.js';
import { costOfTwo, mixByTwo, paper } from './two-matrices.js';

/** Rows and features mixed by a random matrix each, which training leaves as they are. */
export const randomEncoder = defineMixer({
  name: 'random-encoder',
  summary: 'Rows and features mixed by random matrices, drawn once: what mixing does without being learned.',
  paper,
  formula: 'out = S x H,  S_ij ~ N(0, 1/L),  H_ij ~ N(0, 1/F)',
  relativeToPaper:
    'the authors’ code cuts the tails of the normal distribution. Fewer rows than the layer is made for take the first rows and columns of S, as if zeros followed.',
  options: {},
  supports: { causal: false, padding: true },
  parameters: ({ features, length }) => ({
    rows: drawn([length, length], normalOf(1 / Math.sqrt(length))),
    features: drawn([features, features], normalOf(1 / Math.sqrt(features))),
  }),
  cost: costOfTwo,
  forward: (call) => mixByTwo(call, 'random-encoder'),
});
