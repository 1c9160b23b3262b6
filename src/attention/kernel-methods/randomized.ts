import type { F32 } from '../../codegen/expression/index.js';
import { lengths as padding } from '../../masks/index.js';
import {
  add,
  concat,
  cumulativeSum,
  lessEqual,
  map,
  mean,
  mul,
  neg,
  reshape,
  slice,
  softmax,
  sum,
  transpose,
} from '../../ops/index.js';
import { full, noGradient, scope, type Tensor } from '../../tensor/index.js';
import { defineAttention, type Call } from '../define.js';
import { choice, flag, integer } from '../options.js';
import { costOfPairs, headPairs } from '../pairs.js';
import { drawn, normalOf, type ParameterSpecs, unitUniform } from '../parameters.js';
import { realKeys } from '../real-keys.js';
import { inStretches, numbers, pairsInStretches, seenOnly, type Scores } from './stretches.js';
import { samplesOf, attendFromVectors, tooWide } from './from-vectors.js';

const options = {
  numSamples: integer({ min: 1, default: 1, help: 'samples of each query, whose results are averaged' }),
  proposal: choice(['sampled', 'expected', 'mean'], {
    default: 'sampled',
    help: 'means of samples: the query and a key drawn by its softmax weight; and the weighted mean of keys; and the mean of keys',
  }),
  noise: flag({ default: true, help: 'samples are normal around their means; without, they are the means' }),
  antithetic: flag({ default: false, help: 'every sample twice, with its noise and with the opposite' }),
  scaling: choice(['theory', 'released'], {
    default: 'theory',
    help: 'noise of variance 1 about scaled rows, or of variance scale, as in the released code, which is biased',
  }),
  maxLength: integer({ min: 1, default: ({ L }) => L, help: 'queries that samples are drawn for' }),
};
type Randomized = Call<typeof options>;

/** Softmax attention as the mean of simpler ones, whose weights come from one random vector a query. */
export const randomized = defineAttention({
  name: 'randomized',
  family: 'kernel-methods',
  summary: 'Softmax attention as the mean over random vectors ω of attention from ω: few of them, unbiased.',
  paper: {
    authors: 'Zheng, Wang, Kong',
    title: 'Linear Complexity Randomized Self-attention Mechanism',
    year: 2022,
    arxiv: '2204.04667',
  },
  formula:
    'out_i = mean over ω of softmax_j(ω·k_j − ‖k_j‖²/2) v,  ω = q_i + k_j + N(0, I) with j drawn by softmax_j(q_i·k_j); rows times √scale',
  complexity: 'n²·d',
  exactness: 'unbiased',
  relativeToPaper:
    'samples are drawn once from the seed and kept, and give no gradient to the weights that keys are drawn by. Without noise it is what the released code evaluates with.',
  options,
  supports: { causal: true, cross: true, padding: true, score: false, groupedHeads: true, decode: false },
  parameters: ({ H, D }, { numSamples, proposal, noise, maxLength }): ParameterSpecs => ({
    ...(proposal === 'sampled' && { choices: drawn([numSamples, H, maxLength, 1], unitUniform) }),
    ...(noise && { noise: drawn([numSamples, H, maxLength, D], normalOf()) }),
  }),
  refuse: ({ L, D }, { maxLength, antithetic, noise }) =>
    [
      L > maxLength && `maxLength must be at least the ${L} queries; got ${maxLength}`,
      tooWide(D),
      antithetic && !noise && 'antithetic samples need noise',
    ].filter((fault) => typeof fault === 'string'),
  cost: (shape, options, causal) => {
    const { B, H, D } = shape;
    const { proposal, numSamples } = options;
    const drawing = (proposal === 'sampled' ? numSamples : 1) * B * H * pairsInStretches(shape, causal) * 2 * D;
    const pairs = H * headPairs(shape, causal) * samplesOf(options);
    return { multiplyAdds: drawing + costOfPairs({ ...shape, D: D + 1 }, pairs).multiplyAdds };
  },
  forward: (call) => {
    const { causal, lengths, shape, options } = call;
    const { B, H, L, D, E } = shape;
    const R = samplesOf(options);
    const root = Math.sqrt(Math.abs(call.scale));
    const q = mul(call.q, Math.sign(call.scale) * root);
    const k = mul(realKeys(call.k, lengths), root);
    // [B, H, R, L, D]: the samples of a head are heads that share its keys
    const samples = reshape(sampled(call, means(call, q, k)), [B, H * R, L, D]);
    const { out } = attendFromVectors(samples, k, call.v, {
      causal,
      scale: 1,
      ...(lengths && { mask: padding(lengths) }),
    });
    return { out: mean(reshape(out, [B, H, R, L, E]), { axes: 2 }) };
  },
});

/** Drawn numbers of the queries at hand, `[1, H, numSamples, L, columns]`. */
function drawnFor({ parameters, shape: { L, H } }: Randomized, name: string): Tensor {
  const all = parameters[name]!; // [numSamples, H, maxLength, columns]
  const rows = all.shape[2] === L ? all : slice(all, { axis: 2, end: L });
  return reshape(transpose(rows, [1, 0, 2, 3]), [1, H, all.shape[0]!, L, all.shape[3]!]);
}

/** The means of samples, `[B, H, numSamples or 1, L, D]`. */
function means(call: Randomized, q: Tensor, k: Tensor): Tensor {
  const { proposal, numSamples } = call.options;
  const { B, H, L, D } = call.shape;
  const keys = (weigh: (some: Scores) => Tensor, others: readonly Tensor[] = []): Tensor =>
    reshape(add(q, inStretches(call, { q, k, values: k, others }, weigh)), [B, H, 1, L, D]);
  const change = (score: F32): F32 => (proposal === 'mean' ? score.mul(0) : score);
  const shares = ({ scores, first }: Scores): Tensor =>
    softmax(seenOnly(scores, { first, lengths: call.lengths }, change, -Infinity));
  if (proposal !== 'sampled') return keys(shares);
  const choices = drawnFor(call, 'choices');
  const parts = Array.from({ length: numSamples }, (_, r) =>
    keys((some) => oneOf(call, some, shares(some)), [slice(choices, { axis: 2, start: r, end: r + 1 })]),
  );
  return parts.length === 1 ? parts[0]! : concat(parts, { axis: 2 });
}

/** 1 for the key that a uniform number picks, the first whose running sum of shares exceeds it, and 0 for the others. */
function oneOf({ shape: { H }, lengths }: Randomized, { start, end, first, others }: Scores, shares: Tensor): Tensor {
  return scope(() =>
    noGradient(() => {
      const [rows, keys] = [end - start, shares.shape.at(-1)!];
      const { device } = shares;
      const u = reshape(slice(others[0]!, { axis: 3, start, end }), [1, H, rows, 1]);
      const before = sum(lessEqual(cumulativeSum(shares), u), { axes: -1, keepDims: true });
      // shares may sum to a little less than a number that is drawn
      const to = numbers(rows, [rows, 1], device, (i) =>
        first === undefined ? keys - 1 : Math.min(keys - 1, i + first),
      );
      const real = lengths ?? [keys];
      const of = numbers(real.length, [real.length, 1, 1, 1], device, (b) => real[b]! - 1);
      const key = numbers(keys, [keys], device, (j) => j);
      return map((j, count, a, b) => j.eq(count.min(a).min(b)).toF32(), key, before, to, of);
    }),
  );
}

/** Samples about their means, `[B, H, samples, L, D]`. */
function sampled(call: Randomized, about: Tensor): Tensor {
  const { options, scale, shape } = call;
  const { B, H, L, D } = shape;
  const { noise, antithetic, scaling, numSamples } = options;
  if (!noise)
    return about.shape[2] === numSamples
      ? about
      : mul(about, full([B, H, numSamples, L, D], 1, { device: about.device }));
  const drawnNoise = drawnFor(call, 'noise');
  const own = scaling === 'theory' ? drawnNoise : mul(drawnNoise, Math.sqrt(Math.abs(scale)));
  const up = add(about, own);
  return antithetic ? concat([up, add(about, neg(own))], { axis: 2 }) : up;
}
