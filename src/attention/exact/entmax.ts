import { leastAlpha } from '../../ops/entmax-attend.js';
import { attend, entmaxAttend, maximum, sigmoid } from '../../ops/index.js';
import type { Tensor } from '../../tensor/index.js';
import { defineAttention, type Call } from '../define.js';
import { flag, number } from '../options.js';
import { allPairs } from '../pairs.js';
import { constantOf, learned } from '../parameters.js';

const options = {
  alpha: number({
    min: 1,
    max: 2,
    default: 1.5,
    help: 'how sparse: 1 is softmax, 2 sparsemax; where it is learned, what it starts at',
  }),
  learnAlpha: flag({ default: false, help: 'α = 1 + σ(a) with a learned a for each head' }),
};

/** Attention whose weights are 0 for keys that score well below the best: α-entmax in place of softmax. */
export const entmax = defineAttention({
  name: 'entmax',
  family: 'exact',
  summary: 'Weights of exactly 0 for keys of low scores, by α-entmax in place of softmax: α fixed, or learned by head.',
  paper: {
    authors: 'Correia, Niculae, Martins',
    title: 'Adaptively Sparse Transformers',
    year: 2019,
    arxiv: '1909.00015',
  },
  formula: 'out_i = Σ_j [(α−1)s_ij − τ_i]_+^{1/(α−1)} v_j,  s = scale · q kᵀ,  τ_i such that the weights sum to 1',
  complexity: 'n²·d',
  exactness: 'learned',
  relativeToPaper:
    'τ by Newton’s method on a convex function whose root it is, which for α = 2 is an exact algorithm, in tiles as AdaSplash (arXiv:2502.12082); no scores are stored beyond those of a few queries. A learned α stays at least 1.01.',
  options,
  supports: {
    causal: true,
    cross: true,
    padding: true,
    score: false,
    mask: true,
    groupedHeads: true,
    decode: 'cache',
  },
  parameters: ({ H }, { alpha, learnAlpha }) =>
    (learnAlpha ? { alpha: learned([H], constantOf(Math.log((alpha - 1) / (2 - alpha)))) } : {}) as Readonly<
      Record<'alpha', ReturnType<typeof learned>>
    >,
  refuse: (_, { alpha, learnAlpha }) => [
    ...(alpha > 1 && alpha < leastAlpha
      ? [`alpha must be 1 or at least ${leastAlpha}, below which float32 cannot tell; got ${alpha}`]
      : []),
    ...(learnAlpha && (alpha < leastAlpha || alpha > 1.99)
      ? [`a learned alpha starts from ${leastAlpha} to 1.99; got ${alpha}`]
      : []),
  ],
  cost: (shape, _, causal) => allPairs(shape, causal),
  forward: (call) => {
    const { q, k, v, causal, scale, mask, options: own } = call;
    const given = { causal, scale, ...(mask && { mask }) };
    if (own.alpha === 1) return { out: attend(q, k, v, given).out };
    const ofAlpha = own.learnAlpha ? { excess: learnedExcess(call) } : { alpha: own.alpha };
    return { out: entmaxAttend(q, k, v, { ...given, ...ofAlpha }) };
  },
});

const learnedExcess = ({ parameters: { alpha } }: Call<typeof options, 'alpha'>): Tensor =>
  maximum(sigmoid(alpha), leastAlpha - 1);
