import { attend, broadcastTo, concat, mul, relu, reshape, sigmoid, slice, sub } from '../../ops/index.js';
import { bias, type Score } from '../../scores/index.js';
import { zeros, type Tensor } from '../../tensor/index.js';
import { defineAttention, type Call } from '../define.js';
import { choice, flag, integer, type AttentionShape, type OptionValues } from '../options.js';
import { costOfPairs, headPairs } from '../pairs.js';
import { constantOf, drawn, learned, normalOf, type ParameterSpec } from '../parameters.js';

const options = {
  logits: choice(['dense', 'random', 'factorised'], {
    default: 'dense',
    help: 'where the weights come from: each token alone, nothing, or nothing by a product of low rank',
  }),
  mixture: choice(['none', 'sum', 'alpha'], {
    default: 'none',
    help: 'adds q·k to the logits, or mixes both by a learned share that starts at one half',
  }),
  rank: integer({ min: 1, default: 16, help: 'rank of factorised logits' }),
  maxLength: integer({ min: 1, default: ({ S }) => S, help: 'tokens that logits are learned for' }),
  fixed: flag({ default: false, help: 'keep random logits as they are drawn' }),
};
type Values = OptionValues<typeof options>;

/** Logits that do not compare tokens: a two-layer perceptron of each query, or a learned matrix. */
export const synthesizer = defineAttention({
  name: 'synthesizer',
  family: 'mixers',
  level: 'mixer',
  summary: 'Softmax of logits that each token makes by itself, or that are learned and the same for every input.',
  paper: {
    authors: 'Tay et al.',
    title: 'Synthesizer: Rethinking Self-Attention in Transformer Models',
    year: 2020,
    arxiv: '2005.00743',
  },
  formula:
    'out = softmax(R) v,  R = relu(q) Pᵀ (dense), learned (random), R₁R₂ᵀ (factorised);  mixtures: R + s·qkᵀ, or σ(a)·R + (1 − σ(a))·s·qkᵀ',
  complexity: 'n²·d',
  exactness: 'learned',
  relativeToPaper:
    'the first layer of a dense synthesizer is q’s own projection. Dense and factorised logits are inner products, so the fused kernel computes them as attention with learned keys and no n×n matrix is stored; random logits are an n×n matrix for every head. There is no factorised dense form.',
  options,
  supports: { causal: true, cross: false, padding: true, score: false, groupedHeads: false, decode: false },
  parameters: parametersOf,
  refuse: (shape, values) => [
    ...(shape.S > values.maxLength
      ? [`maxLength must be at least the ${shape.S} tokens; got ${values.maxLength}`]
      : []),
    ...(width(shape, values) > 256
      ? [`logits and q·k together take at most 256 columns; got ${width(shape, values)}; use smaller heads or rank`]
      : []),
  ],
  cost: (shape, values, causal) =>
    costOfPairs({ ...shape, D: width(shape, values) }, shape.H * headPairs(shape, causal)),
  forward: (call) => {
    const { causal, mask, v } = call;
    const { q, k, score } = logits(call);
    const { out } = attend(q, k, v, { scale: 1, causal, ...(mask && { mask }), ...(score && { score }) });
    return { out };
  },
});

/** Columns of the inner products that make the logits; without any, a column of zeros. */
function width({ D }: AttentionShape, { logits, mixture, rank }: Values): number {
  const own = { dense: D, random: 0, factorised: rank }[logits];
  return Math.max(1, own + (mixture === 'none' ? 0 : D));
}

function parametersOf({ H, D }: AttentionShape, values: Values): Readonly<Record<string, ParameterSpec>> {
  const { logits, mixture, rank, maxLength, fixed } = values;
  const random = fixed ? drawn : learned;
  const own = {
    // logits of unit variance for q of unit variance, and by themselves
    dense: { projection: learned([H, maxLength, D], normalOf(Math.sqrt(2 / D))) },
    random: { logits: random([H, maxLength, maxLength], normalOf()) },
    factorised: {
      left: random([H, maxLength, rank], normalOf(rank ** -0.25)),
      right: random([H, maxLength, rank], normalOf(rank ** -0.25)),
    },
  }[logits];
  return { ...own, ...(mixture === 'alpha' && { alpha: learned([1], constantOf(0)) }) };
}

interface Logits {
  readonly q: Tensor;
  readonly k: Tensor;
  readonly score?: Score;
}

/** Queries and keys whose inner products, and a score change, are the logits. */
function logits(call: Call<typeof options>): Logits {
  const { q, k, scale, shape, options: values, parameters } = call;
  const { B, H, S } = shape;
  const share = parameters['alpha'] && sigmoid(parameters['alpha']);
  const weighted = (x: Tensor): Tensor => (share ? mul(x, share) : x);
  const plain = (): Tensor => (share ? mul(mul(q, scale), sub(1, share)) : mul(q, scale));
  const compared: Logits[] = values.mixture === 'none' ? [] : [{ q: plain(), k }];
  const first = (x: Tensor, axis: number): Tensor => (x.shape[axis] === S ? x : slice(x, { axis, end: S }));
  // [H, maxLength, columns] → [B, H, S, columns]
  const rows = (x: Tensor): Tensor => {
    const cut = first(x, 1);
    return broadcastTo(reshape(cut, [1, ...cut.shape]), [B, ...cut.shape]);
  };
  if (values.logits === 'random') {
    const table = weighted(first(first(parameters['logits']!, 1), 2));
    const nothing = { q: zeros([B, H, S, 1], { device: q.device }), k: zeros([B, H, S, 1], { device: q.device }) };
    return { ...(compared[0] ?? nothing), score: bias(table) };
  }
  const own =
    values.logits === 'dense'
      ? { q: relu(q), k: rows(parameters['projection']!) }
      : { q: rows(parameters['left']!), k: rows(parameters['right']!) };
  const parts = [{ q: weighted(own.q), k: own.k }, ...compared];
  if (parts.length === 1) return parts[0]!;
  const join = (of: 'q' | 'k'): Tensor =>
    concat(
      parts.map((part) => part[of]),
      { axis: -1 },
    );
  return { q: join('q'), k: join('k') };
}
