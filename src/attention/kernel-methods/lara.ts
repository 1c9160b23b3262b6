import {
  add,
  concat,
  layerNorm,
  map,
  matmul,
  mul,
  neg,
  reshape,
  segmentMean,
  softmax,
  sub,
  transpose,
} from '../../ops/index.js';
import type { Tensor } from '../../tensor/index.js';
import { defineAttention, type Call } from '../define.js';
import { firstOf, withoutPadding, type Whole } from '../low-rank/padding.js';
import { choice, flag, integer, number } from '../options.js';
import { constantOf, drawn, learned, normalOf, uniformOf, type ParameterSpecs } from '../parameters.js';
import { sampleWeights, times } from './lara-weights.js';
import { samplesOf, norms, attendFromVectors, tooWide } from './from-vectors.js';
import { repeatHeads } from '../../ops/repeat-heads.js';

const options = {
  numLandmarks: integer({
    min: 1,
    default: ({ L, S }) => Math.min(49, L, S),
    help: 'C: proposals, means of as many segments of queries and of keys',
  }),
  proposal: choice(['pool', 'segment', 'plain'], {
    default: 'pool',
    help: 'segments: means, then a learned layer and a norm; these first, then means; means alone',
  }),
  mixing: choice(['none', 'keys', 'values'], {
    default: 'none',
    help: 'means of keys attend to each other, by their products, or also by the length of the mean of values',
  }),
  weighting: choice(['optimal', 'balanced', 'biased'], {
    default: 'optimal',
    help: 'of samples: near the least variance for each query; the balance heuristic; that, and by q·μ',
  }),
  coefficient: number({
    min: 0,
    default: 1,
    help: 'optimal: how much a query’s own weights differ from the balance heuristic',
  }),
  noise: flag({
    default: false,
    help: 'samples are normal around the proposals, as in the authors’ training; without, they are the proposals',
  }),
  numSamples: integer({ min: 1, default: 1, help: 'noise: samples of each proposal' }),
  antithetic: flag({ default: false, help: 'noise: every sample twice, with its noise and with the opposite' }),
};
type Lara = Call<typeof options>;

/** Few random vectors for all queries, weighted for each: importance sampling of randomized attention. */
export const lara = defineAttention({
  name: 'lara',
  family: 'kernel-methods',
  summary: 'Attention from a few random vectors near means of queries and keys, weighted for each query by importance.',
  paper: {
    authors: 'Zheng, Wang, Kong',
    title: 'Linear Complexity Randomized Self-attention Mechanism',
    year: 2022,
    arxiv: '2204.04667',
  },
  formula:
    'out_i = Σ_c w_ci softmax_j(ln ξ(k_j, ω_c)) v,  w_ci = softmax_c(ln α_ci + ln ξ(q_i, ω_c) + lse_j ln ξ(k_j, ω_c) − ln p_c),  ξ(x, ω) = exp(scale·(ω·x − ‖x‖²/2)),  ω_c = q̄_c + k̄_c + N(0, I)',
  complexity: 'n·C·d',
  exactness: 'biased',
  relativeToPaper:
    'segments are stretches of a text, where the authors pool images; rows are scaled as in their code, by scale in every exponent. Samples are drawn once from the seed and kept.',
  options,
  supports: { causal: false, cross: true, padding: true, score: false, groupedHeads: true, decode: false },
  parameters: ({ H, D }, options): ParameterSpecs => ({
    ...(options.proposal !== 'plain' && { ...layer('query', D), ...layer('key', D) }),
    ...(options.noise && { noise: drawn([H, options.numSamples, options.numLandmarks, D], normalOf()) }),
  }),
  refuse: ({ L, S, D }, { numLandmarks, noise, numSamples, antithetic }) =>
    [
      numLandmarks > Math.min(L, S) &&
        `numLandmarks must be at most the ${Math.min(L, S)} ${L < S ? 'queries' : 'keys'}; got ${numLandmarks}`,
      tooWide(D),
      !noise && (numSamples > 1 || antithetic) && 'more samples of a proposal need noise',
    ].filter((fault) => typeof fault === 'string'),
  cost: (shape, options) => {
    const { B, H, G, L, S, D, E } = shape;
    const { proposal, mixing, weighting, numLandmarks: C } = options;
    const drawn = C * samplesOf(options);
    const mapped = { pool: (H + G) * C, segment: H * L + G * S, plain: 0 }[proposal] * D * D;
    const mixed = mixing === 'none' ? 0 : G * C * C * 2 * D;
    const own = weighting === 'balanced' ? 0 : L * C * D;
    const densities = drawn * (weighting === 'optimal' ? drawn : C) * D;
    const keys = drawn * S * (D + 1 + E);
    return { multiplyAdds: B * (mapped + mixed + H * (own + densities + keys + L * drawn * (D + E))) };
  },
  forward: (call) => ({ out: withoutPadding(call, (part) => attendSamples(call, part)) }),
});

const layer = (of: string, D: number): ParameterSpecs => ({
  [`${of}Map`]: learned([D, D], uniformOf(D ** -0.5)),
  [`${of}Bias`]: learned([D], constantOf(0)),
  [`${of}NormWeight`]: learned([D], constantOf(1)),
  [`${of}NormBias`]: learned([D], constantOf(0)),
});

function attendSamples(call: Lara, part: Whole): Tensor {
  const { scale, options, shape } = call;
  const { H } = shape;
  // queries that are padding make no proposals
  const real = shape.L === shape.S ? part.length : shape.L;
  const C = Math.min(options.numLandmarks, real, part.length);
  const queryMeans = segments(call, firstOf(part.q, 2, real), 'query', C); // [B, H, C, D]
  const keyMeans = mixed(call, segments(call, part.k, 'key', C), part.v);
  const means = add(queryMeans, repeatHeads(keyMeans, H));
  const vectors = samples(call, means); // [B, H, C·samples, D]
  const [B, , rows] = vectors.shape as [number, number, number];
  const found = attendFromVectors(vectors, part.k, part.v, { scale });
  const { density, preference } = sampleWeights({ q: part.q, real, queryMeans, means, vectors }, options, scale);
  const ofSample = reshape(sub(found.logsumexp, density), [B, H, 1, rows]);
  // −‖q‖²/2 is the same for all samples of a query
  const logits = add(mul(times(part.q, vectors), scale), ofSample); // [B, H, L, C·samples]
  return matmul(softmax(preference ? add(logits, preference) : logits), found.out);
}

/** Means of C segments of rows, by the proposal's layer. */
function segments({ options: { proposal }, parameters }: Lara, x: Tensor, of: 'query' | 'key', C: number): Tensor {
  const layered = (y: Tensor): Tensor => {
    const z = matmul(y, parameters[`${of}Map`]!, { transposeB: true, bias: parameters[`${of}Bias`]! });
    return layerNorm(z, { weight: parameters[`${of}NormWeight`]!, bias: parameters[`${of}NormBias`]! });
  };
  const means = segmentMean(proposal === 'segment' ? layered(x) : x, C);
  return proposal === 'pool' ? layered(means) : means;
}

/** Means of keys `[B, G, C, D]` that attend to each other. */
function mixed({ options: { mixing }, scale }: Lara, means: Tensor, v: Tensor): Tensor {
  if (mixing === 'none') return means;
  const logits = mul(times(means, means), scale);
  if (mixing === 'keys') return matmul(softmax(logits), means);
  // a length of 0 has no derivative
  const lengths = map((squares) => squares.max(1e-30).sqrt().add(1e-4).log(), norms(segmentMean(v, means.shape[2]!)));
  return matmul(softmax(add(logits, transpose(lengths))), means);
}

/** Samples of every proposal, one round after the other: `[B, H, samples·C, D]`. */
function samples({ options: { noise, antithetic }, parameters }: Lara, means: Tensor): Tensor {
  if (!noise) return means;
  const [B, H, C, D] = means.shape as [number, number, number, number];
  const moved = firstOf(parameters['noise']!, 2, C); // [H, numSamples, C, D]
  const all = antithetic ? concat([moved, neg(moved)], { axis: 1 }) : moved;
  return reshape(add(reshape(means, [B, H, 1, C, D]), all), [B, H, all.shape[1]! * C, D]);
}
