import { flag, integer, number } from '../../attention/options.js';
import { constantOf, learned, normalOf, type ParameterSpec } from '../../attention/index.js';
import { stepSizes, uniformRates } from '../../attention/kernel-methods/gated-delta.js';
import { softplus } from '../../attention/kernel-methods/gates.js';
import {
  add,
  cast,
  concat,
  convolve,
  map,
  matmul,
  mul,
  recurrentAttend,
  reshape,
  rmsNorm,
  silu,
  split,
  transpose,
} from '../../ops/index.js';
import { repeatHeads } from '../../ops/repeat-heads.js';
import { withoutPadding } from '../../attention/patterns/without-padding.js';
import { zeros, type Tensor } from '../../tensor/index.js';
import { storedAs } from '../stored.js';
import { defineMixer, type MixerSizes } from './define.js';

interface Own {
  readonly heads: number;
  readonly headSize: number;
  readonly groups: number;
  readonly state: number;
}

/** What the projections and the convolution have columns for. */
function widths({ features }: MixerSizes, { heads: given, headSize, groups, state }: Own) {
  const heads = given === 0 ? Math.ceil((2 * features) / headSize) : given;
  const inner = heads * headSize;
  return { heads, inner, shared: groups * state, channels: inner + 2 * groups * state };
}

/** A state of fixed size for each head, which forgets at a rate that each token chooses: causal by nature. */
export const mamba2 = defineMixer({
  name: 'mamba2',
  summary:
    'A state for each head, which each token makes forget, writes to and reads; a convolution before it, a gate behind it.',
  paper: {
    authors: 'Dao, Gu',
    title: 'Transformers are SSMs: Generalized Models and Efficient Algorithms Through Structured State Space Duality',
    year: 2024,
    arxiv: '2405.21060',
  },
  formula:
    'out = rms(y ⊙ silu(z))·W_out,  y_t = S_tᵀ c_t + d·v_t,  S_t = exp(−eᵃ·Δ_t) S_(t−1) + Δ_t b_t v_tᵀ,  [v, b, c] = silu(conv(x·W)),  Δ = softplus(x·w + β)',
  relativeToPaper:
    'the norm behind the gate is over all heads together, as in the published code of transformers; in an encoder too, a row sees those before it alone.',
  options: {
    heads: integer({ min: 0, default: 0, help: 'states; 0: as many as twice the width has' }),
    headSize: integer({ min: 1, default: 64, help: 'values of a head' }),
    groups: integer({ min: 1, default: 1, help: 'what writes and what reads is shared by heads in so many groups' }),
    state: integer({ min: 1, default: 64, help: 'rows of a state' }),
    kernel: integer({ min: 1, default: 4, help: 'tokens that the convolution sees, the latest its own' }),
    bias: flag({ default: false, help: 'whether both projections have biases' }),
    convolutionBias: flag({ default: true, help: 'whether the convolution has biases' }),
    epsilon: number({ min: 1e-12, default: 1e-5, help: 'of the norm behind the gate' }),
  },
  supports: { causal: true, padding: true },
  whole: true,
  refuse: (sizes, own) => {
    const { heads } = widths(sizes, own);
    return heads % own.groups === 0 ? [] : [`groups must divide the ${heads} heads; got ${own.groups}`];
  },
  parameters: (sizes, own): Readonly<Record<string, ParameterSpec>> => {
    const { features } = sizes;
    const { heads, inner, channels } = widths(sizes, own);
    const columns = inner + channels + heads;
    return {
      in: learned([features, columns], normalOf(features ** -0.5)),
      ...(own.bias && { inBias: learned([columns], constantOf(0)), outBias: learned([features], constantOf(0)) }),
      convolution: learned([channels, own.kernel], normalOf(own.kernel ** -0.5)),
      ...(own.convolutionBias && { convolutionBias: learned([channels], constantOf(0)) }),
      step: learned([heads], stepSizes),
      rate: learned([heads], uniformRates),
      skip: learned([heads], constantOf(1)),
      norm: learned([inner], constantOf(1)),
      out: learned([inner, features], normalOf(inner ** -0.5)),
    };
  },
  cost: (sizes, own) => {
    const { features, length } = sizes;
    const { heads, inner, channels } = widths(sizes, own);
    const projections = features * (inner + channels + heads + inner);
    return { multiplyAdds: length * (projections + channels * (2 * own.kernel - 1) + 2 * inner * own.state) };
  },
  forward: ({ x, sizes, options: own, parameters: p, lengths }) => {
    const { heads, inner, shared, channels } = widths(sizes, own);
    const { groups, state, epsilon } = own;
    const [B, L] = x.shape as [number, number];
    const rows = withoutPadding(x, lengths);
    const made = cast(matmul(rows, p['in']!, { ...(p['inBias'] && { bias: p['inBias'] }), ...storedAs(x) }), 'f32');
    const [gate, mixed, steps] = split(made, [inner, channels, heads], { axis: 2 }) as [Tensor, Tensor, Tensor];
    const seen = silu(convolved(transpose(mixed, [0, 2, 1]), p['convolution']!, p['convolutionBias'])); // [B, C, L]
    const [v, k, q] = split(seen, [inner, shared, shared], { axis: 1 }).map((part, i) => {
      const [count, size] = i === 0 ? [heads, own.headSize] : [groups, state];
      return transpose(reshape(part, [B, count, size, L]), [0, 1, 3, 2]);
    }) as [Tensor, Tensor, Tensor];
    const step = map((s) => softplus(s), transpose(add(steps, p['step']!), [0, 2, 1])); // [B, H, L]
    const decay = map((s, rate) => s.mul(rate.exp()).neg(), step, reshape(p['rate']!, [heads, 1]));
    const written = mul(v, reshape(step, [B, heads, L, 1]));
    const read = recurrentAttend(repeatHeads(q, heads), repeatHeads(k, heads), written, {
      decay,
      ...(lengths && { lengths }),
    }).out;
    const y = add(read, mul(v, reshape(p['skip']!, [heads, 1, 1]))); // [B, H, L, P]
    const side = reshape(transpose(y, [0, 2, 1, 3]), [B, L, inner]);
    const normed = rmsNorm(mul(side, silu(gate)), { weight: p['norm']!, epsilon });
    return matmul(normed, p['out']!, {
      ...(p['outBias'] && { bias: p['outBias'] }),
      ...storedAs(x),
    });
  },
});

/** Each channel of `x [B, C, L]` with the κ rows up to its own: `weight [C, κ]`, the last for the row itself. */
function convolved(x: Tensor, weight: Tensor, bias: Tensor | undefined): Tensor {
  const [B, C, L] = x.shape as [number, number, number];
  const taps = weight.shape[1]!;
  // a kernel that is as long behind the row, of zeros
  const later = taps > 1 ? concat([weight, zeros([C, taps - 1], { device: x.device })], { axis: 1 }) : weight;
  const out = reshape(convolve(reshape(x, [B, C, L, 1]), later), [B, C, L]);
  return bias ? add(out, reshape(bias, [C, 1])) : out;
}
