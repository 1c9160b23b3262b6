import { layerNorm } from '../../ops/index.js';
import type { Tensor } from '../../tensor/index.js';
import { defineAttention } from '../define.js';
import { flag, integer, number, type AttentionShape } from '../options.js';
import { constantOf, learned } from '../parameters.js';
import { quotient, withOnes } from './divide.js';
import { realKeys } from '../real-keys.js';
import { inStretches, pairsInStretches, seenOnly } from './stretches.js';

/** Options that polynomial weights have, exact or sketched. */
export const polynomialOptions = {
  layerNorm: flag({
    default: true,
    help: 'a layer norm of queries and keys, one for both, as scores grow with their lengths',
  }),
  eps: number({ min: 0, default: 1, help: 'added to the divisor' }),
};

const options = {
  power: integer({ min: 2, default: 4, help: 'p, even: weights (q·k)^p' }),
  ...polynomialOptions,
};

/** A norm's learned factors and offsets, by the names of its parameters. */
export const normParameters = ({ D }: AttentionShape) =>
  ({ weight: learned([D], constantOf(1)), bias: learned([D], constantOf(0)) }) as const;

/** Weights that are an even power of the inner product. */
export const polynomial = defineAttention({
  name: 'polynomial',
  family: 'kernel-methods',
  summary: 'Weights that are an even power of q·k instead of an exponential, compared with every key.',
  paper: {
    authors: 'Kacham, Mirrokni, Zhong',
    title: 'PolySketchFormer: Fast Transformers via Sketching Polynomial Kernels',
    year: 2023,
    arxiv: '2310.01655',
  },
  formula: 'out_i = Σ_j (q_i·k_j)^p v_j / (eps + Σ_j (q_i·k_j)^p)',
  complexity: 'n²·d',
  exactness: 'biased',
  relativeToPaper:
    'scale is not used, as the formula has none; with eps = 1, as in the released code, weights of a row sum to less than 1. Stretches of queries are computed again in the backward pass.',
  options,
  supports: { causal: true, cross: true, padding: true, score: false, groupedHeads: true, decode: 'cache' },
  parameters: (shape, { layerNorm }) => (layerNorm ? normParameters(shape) : {}),
  refuse: (_, { power }) =>
    power % 2 === 0 ? [] : [`power must be even, so that no weight is negative; got ${power}`],
  cost: (shape, _, causal) => {
    const { B, H, D, E } = shape;
    const pairs = pairsInStretches(shape, causal);
    return { pairs: H * pairs, multiplyAdds: B * H * pairs * (D + E + 1) };
  },
  forward: (call) => {
    const { lengths, options, parameters } = call;
    const { weight, bias } = parameters as Readonly<Record<string, Tensor>>;
    const norm = (x: Tensor): Tensor => (weight && bias ? layerNorm(x, { weight, bias }) : x);
    const k = realKeys(norm(realKeys(call.k, lengths)), lengths); // a norm of 0 is the bias
    const inputs = { q: norm(call.q), k, values: withOnes(realKeys(call.v, lengths)) };
    const sums = inStretches(call, inputs, ({ scores, first }) => raised(scores, options.power, first));
    return { out: quotient(sums, (weight) => weight.add(options.eps)) };
  },
});

/** `scores^power` of `[..., rows, keys]`; if `first` is given, row i sees keys j ≤ i + first. */
export const raised = (scores: Tensor, power: number, first: number | undefined): Tensor =>
  seenOnly(scores, { first }, (score) => score.pow(power), 0);
