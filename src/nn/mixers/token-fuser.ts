import { integer } from '../../attention/options.js';
import { constantOf, learned, normalOf } from '../../attention/parameters.js';
import { geluTanhOf, layerNorm, matmul, sigmoidOf } from '../../ops/index.js';
import { storedAs } from '../stored.js';
import { defineMixer } from './define.js';
import { paper } from './token-learner.js';

/** Tokens given back to the rows that they were made of. */
export const tokenFuser = defineMixer({
  name: 'token-fuser',
  summary: 'The tokens of a layer before, mixed, and given back to the rows they were made of by gates of each row.',
  paper,
  formula:
    'out_p = Σ_s sigmoid(gelu(LN(e_p) W₁ + b₁) W₂ + b₂)_s y_s,  y = LN(M x),  e the rows before they became fewer; e + out is the stream',
  relativeToPaper:
    'gelu is the approximation by tanh and M begins as zeros, as in the authors’ code. The norm of the tokens is the layer’s. M has no bias: it is the same for all features of a token, and the norm takes it away.',
  options: {
    tokens: integer({ min: 1, default: 16, help: 'rows that it is given' }),
    hidden: integer({ min: 1, default: 64, help: 'hidden units of the perceptron that makes the gates' }),
  },
  supports: { causal: false, padding: true },
  restores: ({ tokens }) => tokens,
  parameters: ({ features }, { tokens, hidden }) => ({
    mix: learned([tokens, tokens], constantOf(0)),
    mixedScale: learned([features], constantOf(1)),
    mixedBias: learned([features], constantOf(0)),
    earlierScale: learned([features], constantOf(1)),
    earlierBias: learned([features], constantOf(0)),
    up: learned([features, hidden], normalOf(1 / Math.sqrt(features))),
    upBias: learned([hidden], constantOf(0)),
    down: learned([hidden, tokens], normalOf(1 / Math.sqrt(hidden))),
    downBias: learned([tokens], constantOf(0)),
  }),
  cost: ({ features, length }, { tokens, hidden }) => ({
    multiplyAdds: tokens * tokens * features + length * (features * hidden + hidden * tokens + tokens * features),
  }),
  forward: ({ x, earlier, parameters: own }) => {
    const stored = storedAs(x);
    const mixed = matmul(own.mix, x, stored); // [B, tokens, F]
    const y = layerNorm(mixed, { weight: own.mixedScale, bias: own.mixedBias, ...stored });
    const rows = layerNorm(earlier!, { weight: own.earlierScale, bias: own.earlierBias, ...stored }); // [B, L, F]
    const hidden = matmul(rows, own.up, { bias: own.upBias, activation: geluTanhOf, ...stored });
    const gates = matmul(hidden, own.down, { bias: own.downBias, activation: sigmoidOf, ...stored }); // [B, L, tokens]
    return matmul(gates, y, stored);
  },
});
