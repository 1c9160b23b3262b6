import { integer, number } from '../../attention/options.js';
import { constantOf, learned, normalOf, type ParameterSpec } from '../../attention/index.js';
import { stepSizes, uniformRates } from '../../attention/kernel-methods/gated-delta.js';
import { softplus } from '../../attention/kernel-methods/gates.js';
import { unitRows } from '../../attention/kernel-methods/recurrent.js';
import { withoutPadding } from '../../attention/patterns/without-padding.js';
import {
  add,
  cast,
  map,
  matmul,
  mul,
  recurrentAttend,
  reshape,
  rmsNorm,
  sigmoid,
  silu,
  split,
  transpose,
} from '../../ops/index.js';
import { repeatHeads } from '../../ops/repeat-heads.js';
import type { Tensor } from '../../tensor/index.js';
import type { NamedTensors } from '../outcome.js';
import { storedAs } from '../stored.js';
import { defineMixer, type MixerCall, type MixerSizes } from './define.js';
import { convolvedAfter } from './short-convolution.js';

interface Own {
  readonly heads: number;
  readonly keyHeads: number;
  readonly keySize: number;
  readonly valueSize: number;
}

/** What the projections and the convolution have columns for. */
function widths({ heads: usual, headDim }: MixerSizes, own: Own) {
  const { heads, keyHeads, keySize, valueSize } = own;
  const values = heads || usual;
  const sizes = { heads: values, keyHeads: keyHeads || values, D: keySize || headDim, E: valueSize || headDim };
  const [keys, inner] = [sizes.keyHeads * sizes.D, values * sizes.E];
  return { ...sizes, keys, inner, channels: 2 * keys + inner };
}

/** A state for each head that forgets as a whole, and that a key overwrites where it was written to: causal by nature. */
export const gatedDeltaNet = defineMixer({
  name: 'gated-delta-net',
  summary:
    'A state for each head, which each token makes forget and corrects where its key was written to; a convolution before it, a gated norm behind it.',
  paper: {
    authors: 'Yang, Kautz, Hatamizadeh',
    title: 'Gated Delta Networks: Improving Mamba2 with Delta Rule',
    year: 2024,
    arxiv: '2412.06464',
  },
  formula:
    'out = (rms(y) ⊙ silu(z))·W_out,  y_t = S_tᵀ q̂_t / √D,  S_t = α_t S_(t−1) + β_t k̂_t (v_t − α_t S_(t−1)ᵀ k̂_t)ᵀ,  [q, k, v] = silu(conv(x·W)),  α = exp(−eᵃ·softplus(x·w + δ)),  β = σ(x·w′)',
  relativeToPaper:
    'as in the published code of Qwen3-Next: the norm is over each head, one weight for all; lengths are √(‖x‖² + 1e-6); in an encoder too, a row sees those before it alone.',
  options: {
    heads: integer({ min: 0, default: 0, help: 'states; 0: as many as the layer has heads' }),
    keyHeads: integer({ min: 0, default: 0, help: 'heads of queries and keys, which divide the states; 0: as many' }),
    keySize: integer({ min: 0, default: 0, help: 'rows of a state; 0: the size of a head' }),
    valueSize: integer({ min: 0, default: 0, help: 'columns of a state; 0: the size of a head' }),
    kernel: integer({ min: 1, default: 4, help: 'tokens that the convolution sees, the latest its own' }),
    epsilon: number({ min: 1e-12, default: 1e-6, help: 'of the norm of each head' }),
  },
  supports: { causal: true, padding: true },
  refuse: (sizes, own) => {
    const { heads, keyHeads, D } = widths(sizes, own);
    return [
      heads % keyHeads !== 0 && `keyHeads must divide the ${heads} heads; got ${keyHeads}`,
      D < 2 && `keySize must be at least 2, as rows are divided by their length; got ${D}`,
    ].filter((fault) => fault !== false);
  },
  parameters: (sizes, own): Readonly<Record<string, ParameterSpec>> => {
    const { features } = sizes;
    const { heads, inner, channels, E } = widths(sizes, own);
    const drawn = normalOf(features ** -0.5);
    return {
      in: learned([features, channels + inner], drawn),
      gates: learned([features, 2 * heads], drawn),
      convolution: learned([channels, own.kernel], normalOf(own.kernel ** -0.5)),
      step: learned([heads], stepSizes),
      rate: learned([heads], uniformRates),
      norm: learned([E], constantOf(1)),
      out: learned([inner, features], normalOf(inner ** -0.5)),
    };
  },
  cost: (sizes, own) => {
    const { features, length } = sizes;
    const { heads, inner, channels, D } = widths(sizes, own);
    const projections = features * (channels + 2 * inner + 2 * heads);
    return { multiplyAdds: length * (projections + channels * (2 * own.kernel - 1) + 3 * inner * D) };
  },
  forward: (call) => mixed(call).stream,
  recurrence: mixed,
});

type Given = Pick<MixerCall, 'x' | 'sizes' | 'parameters' | 'lengths' | 'state'> & {
  readonly options: Own & { readonly epsilon: number };
};

/** Rows of a text from its start, or, with a state, of its next tokens. */
function mixed({ x, sizes, options: own, parameters: p, lengths, state: before }: Given): {
  readonly stream: Tensor;
  readonly state: NamedTensors;
} {
  const { heads, keyHeads, D, E, keys, inner, channels } = widths(sizes, own);
  const [B, L] = x.shape as [number, number];
  const rows = withoutPadding(x, lengths);
  const wide = (name: string): Tensor => cast(matmul(rows, p[name]!, storedAs(x)), 'f32');
  const [made, gate] = split(wide('in'), [channels, inner], { axis: 2 }) as [Tensor, Tensor];
  const convolution = { weight: p['convolution']! };
  const { out, last } = convolvedAfter(transpose(made, [0, 2, 1]), convolution, before['last']); // [B, C, L]
  const parts = split(silu(out), [keys, keys, inner], { axis: 1 });
  const [q, k, v] = parts.map((part, i) => {
    const [count, size] = i === 2 ? [heads, E] : [keyHeads, D];
    return transpose(reshape(part, [B, count, size, L]), [0, 1, 3, 2]);
  }) as [Tensor, Tensor, Tensor];
  const [writes, steps] = split(transpose(wide('gates'), [0, 2, 1]), [heads, heads], { axis: 1 }) as [Tensor, Tensor];
  const ofHeads = (name: string): Tensor => reshape(p[name]!, [heads, 1]);
  const decay = map((s, rate) => softplus(s).mul(rate.exp()).neg(), add(steps, ofHeads('step')), ofHeads('rate'));
  const asUnits = (of: Tensor): Tensor => repeatHeads(unitRows(of, 'identity'), heads);
  const read = recurrentAttend(mul(asUnits(q), D ** -0.5), asUnits(k), v, {
    decay,
    beta: sigmoid(writes),
    ...(before['sums'] && { initialState: before['sums'] }),
    ...(lengths && { lengths }),
  });
  const normed = rmsNorm(transpose(read.out, [0, 2, 1, 3]), { weight: p['norm']!, epsilon: own.epsilon });
  const stream = matmul(mul(reshape(normed, [B, L, inner]), silu(gate)), p['out']!, storedAs(x));
  return { stream, state: { sums: read.state, last } };
}
