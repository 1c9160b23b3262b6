import { flag, integer, number } from '../../attention/options.js';
import { constantOf, learned, normalOf, type ParameterSpec } from '../../attention/index.js';
import { stepSizes, uniformRates } from '../../attention/kernel-methods/gated-delta.js';
import { softplus } from '../../attention/kernel-methods/gates.js';
import {
  add,
  cast,
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
import type { Tensor } from '../../tensor/index.js';
import { storedAs } from '../stored.js';
import type { NamedTensors } from '../outcome.js';
import { defineMixer, type MixerCall, type MixerSizes } from './define.js';
import { convolvedAfter } from './short-convolution.js';

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
  forward: (call) => mixed(call).stream,
  recurrence: mixed,
});

/** Rows of a text from its start, or, with a state, of its next tokens. */
function mixed({
  x,
  sizes,
  options: own,
  parameters: p,
  lengths,
  state: before,
}: Pick<MixerCall, 'x' | 'sizes' | 'parameters' | 'lengths' | 'state'> & {
  readonly options: Own & { readonly epsilon: number };
}): {
  readonly stream: Tensor;
  readonly state: NamedTensors;
} {
  const { heads, inner, shared, channels } = widths(sizes, own);
  const { groups, state, epsilon } = own;
  const [B, L] = x.shape as [number, number];
  const rows = withoutPadding(x, lengths);
  const made = cast(matmul(rows, p['in']!, { ...(p['inBias'] && { bias: p['inBias'] }), ...storedAs(x) }), 'f32');
  const [gate, written, steps] = split(made, [inner, channels, heads], { axis: 2 }) as [Tensor, Tensor, Tensor];
  const convolution = { weight: p['convolution']!, bias: p['convolutionBias'] };
  const { out, last } = convolvedAfter(transpose(written, [0, 2, 1]), convolution, before['last']); // [B, C, L]
  const [v, k, q] = split(silu(out), [inner, shared, shared], { axis: 1 }).map((part, i) => {
    const [count, size] = i === 0 ? [heads, own.headSize] : [groups, state];
    return transpose(reshape(part, [B, count, size, L]), [0, 1, 3, 2]);
  }) as [Tensor, Tensor, Tensor];
  const step = map((s) => softplus(s), transpose(add(steps, p['step']!), [0, 2, 1])); // [B, H, L]
  const decay = map((s, rate) => s.mul(rate.exp()).neg(), step, reshape(p['rate']!, [heads, 1]));
  const read = recurrentAttend(repeatHeads(q, heads), repeatHeads(k, heads), mul(v, reshape(step, [B, heads, L, 1])), {
    decay,
    ...(before['sums'] && { initialState: before['sums'] }),
    ...(lengths && { lengths }),
  });
  const y = add(read.out, mul(v, reshape(p['skip']!, [heads, 1, 1]))); // [B, H, L, P]
  const side = reshape(transpose(y, [0, 2, 1, 3]), [B, L, inner]);
  const normed = rmsNorm(mul(side, silu(gate)), { weight: p['norm']!, epsilon });
  const stream = matmul(normed, p['out']!, { ...(p['outBias'] && { bias: p['outBias'] }), ...storedAs(x) });
  return { stream, state: { sums: read.state, last } };
}
