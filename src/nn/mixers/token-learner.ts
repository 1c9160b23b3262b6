import { withoutPadding } from '../../attention/patterns/without-padding.js';
import { integer } from '../../attention/options.js';
import { constantOf, learned, normalOf } from '../../attention/parameters.js';
import { geluTanhOf, matmul, softmax, transpose } from '../../ops/index.js';
import { storedAs } from '../stored.js';
import { defineMixer } from './define.js';

export const paper = {
  authors: 'Ryoo et al.',
  title: 'TokenLearner: What Can 8 Learned Tokens Do for Images and Videos?',
  year: 2021,
  arxiv: '2106.11297',
} as const;

/** A few tokens in place of all rows: each a mean of rows, with weights that the rows make by themselves. */
export const tokenLearner = defineMixer({
  name: 'token-learner',
  summary: 'A few tokens in place of all rows: each a mean of the rows, weighted by a perceptron of every row.',
  paper,
  formula: 'out = softmax_L(gelu(x W₁ + b₁) W₂)ᵀ s,  s the stream, x its normalised rows',
  relativeToPaper:
    'version 1.1 of the authors’ code, which also reads sequences; version 1.0, convolutions over a square image and a sigmoid, is left out. The norm is the layer’s. The second product has no bias: it is the same for all rows, and softmax takes it away. gelu is the approximation by tanh.',
  options: {
    tokens: integer({ min: 1, default: 16, help: 'rows that it gives' }),
    hidden: integer({ min: 1, default: 64, help: 'hidden units of the perceptron that weighs rows' }),
  },
  supports: { causal: false, padding: true },
  parameters: ({ features }, { tokens, hidden }) => ({
    up: learned([features, hidden], normalOf(1 / Math.sqrt(features))),
    upBias: learned([hidden], constantOf(0)),
    down: learned([hidden, tokens], normalOf(1 / Math.sqrt(hidden))),
  }),
  resize: (_, { tokens }) => tokens,
  cost: ({ features, length }, { tokens, hidden }) => ({
    multiplyAdds: length * (features * hidden + hidden * tokens + tokens * features),
  }),
  forward: ({ x, stream, lengths, parameters: { up, upBias, down } }) => {
    const rows = withoutPadding(x, lengths);
    const hidden = matmul(rows, up, { bias: upBias, activation: geluTanhOf, ...storedAs(x) });
    const logits = withoutPadding(matmul(hidden, down), lengths, -Infinity); // [B, L, tokens]
    return matmul(softmax(transpose(logits, [0, 2, 1])), withoutPadding(stream, lengths), storedAs(x));
  },
});
