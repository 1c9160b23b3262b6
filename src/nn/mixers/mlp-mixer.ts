import { withoutPadding } from '../../attention/patterns/without-padding.js';
import { integer } from '../../attention/options.js';
import { constantOf, learned, normalOf } from '../../attention/parameters.js';
import { geluTanhOf, matmul, transpose } from '../../ops/index.js';
import { storedAs } from '../stored.js';
import { defineMixer } from './define.js';
import { weightsOf } from './fixed-rows.js';

/** A perceptron over the rows of every feature, the same for all features. */
export const mlpMixer = defineMixer({
  name: 'mlp-mixer',
  summary: 'A perceptron of two layers over the rows of each feature, with the same weights for every feature.',
  paper: {
    authors: 'Tolstikhin et al.',
    title: 'MLP-Mixer: An all-MLP Architecture for Vision',
    year: 2021,
    arxiv: '2105.01601',
  },
  formula: 'out = (gelu(xᵀ W₁ + b₁) W₂ + b₂)ᵀ',
  relativeToPaper:
    'the norms, the sums with the stream and the perceptron over features are the layer’s. gelu is the approximation by tanh, as in the authors’ code. Fewer rows than the layer is made for take the first weights, as if zeros followed.',
  options: {
    hidden: integer({ min: 1, default: 384, help: 'hidden units of the perceptron over rows' }),
  },
  supports: { causal: false, padding: true },
  parameters: ({ length }, { hidden }) => ({
    up: learned([length, hidden], normalOf(1 / Math.sqrt(length))),
    upBias: learned([hidden], constantOf(0)),
    down: learned([hidden, length], normalOf(1 / Math.sqrt(hidden))),
    downBias: learned([length], constantOf(0)),
  }),
  cost: ({ features, length }, { hidden }) => ({ multiplyAdds: 2 * length * features * hidden }),
  forward: ({ x, lengths, parameters: { up, upBias, down, downBias } }) => {
    const rows = x.shape[1]!;
    const of = (weight: typeof up, axis: number): typeof up => weightsOf('mlp-mixer', weight, [axis], rows);
    const columns = transpose(withoutPadding(x, lengths), [0, 2, 1]); // [B, F, L]
    const hidden = matmul(columns, of(up, 0), { bias: upBias, activation: geluTanhOf, ...storedAs(x) });
    return transpose(matmul(hidden, of(down, 1), { bias: of(downBias, 0), ...storedAs(x) }), [0, 2, 1]);
  },
});
