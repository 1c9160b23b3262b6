import { attend, concat, div, linearAttend, map, matmul, mul, slice, softmax } from '../../ops/index.js';
import { tensor, type Tensor } from '../../tensor/index.js';
import { defineAttention, type Call } from '../define.js';
import { integer } from '../options.js';
import { learned, normalOf } from '../parameters.js';
import { realKeys } from '../real-keys.js';
import { packed } from './packed.js';

const options = {
  memory: integer({ min: 1, default: 32, help: 'learned rows that all tokens are packed into' }),
};
type Luna = Call<typeof options, 'memory'>;

/** All tokens are packed into a few learned rows, which every token attends to. */
export const luna = defineAttention({
  name: 'luna',
  family: 'low-rank',
  summary: 'A few learned rows attend to all tokens, and every token attends to what they found: nested attention.',
  paper: { authors: 'Ma et al.', title: 'Luna: Linear Unified Nested Attention', year: 2021, arxiv: '2106.01540' },
  formula:
    'out = softmax(s·q (A k)ᵀ) A v,  A = softmax(s·P kᵀ);  causal: a_t = s/t Σ_j≤t (q_t·k_j) ω_j,  ω_j = log₂(1 + 2^(s·P k_j)),  out_t = 1/t Σ_j≤t (softmax(a_t)·ω_j) v_j',
  complexity: 'n·l·d',
  exactness: 'learned',
  relativeToPaper:
    'the packed rows take no projection of their own, which those of queries and of the output can stand in for; keys and values are tied by giving the same for both. P is the layer’s own; the mixer of this name hands it on to the next layer. Short texts use all rows of P.',
  options,
  supports: { causal: true, cross: true, padding: true, score: false, groupedHeads: true, decode: 'recurrent' },
  parameters: ({ G, D }, { memory }) => ({ memory: learned([G, memory, D], normalOf()) }),
  refuse: ({ D, E }, _, causal) =>
    causal || D + E <= 256
      ? []
      : [`keys and values are packed in one go, and take at most 256 columns together; got D=${D} and E=${E}`],
  cost: ({ B, H, G, L, S, D, E }, { memory: l }, causal) => {
    if (causal) return { multiplyAdds: B * (G * S * l * D + H * (L + S) * l * (D + E)) };
    return { pairs: l * (G * S + H * L), multiplyAdds: B * l * (G * S * (2 * D + E) + H * L * (D + E)) };
  },
  forward: (call) => ({ out: call.causal ? causally(call).out : bothWays(call) }),
  recurrence: { step: (call, state, start) => causally(call, state, start) },
});

function bothWays(call: Luna): Tensor {
  const { q, k, v, scale, shape, parameters } = call;
  const both = packed(call, parameters.memory, concat([k, v], { axis: -1 })); // [B, G, l, D + E]
  const [keys, values] = [slice(both, { axis: -1, end: shape.D }), slice(both, { axis: -1, start: shape.D })];
  return attend(q, keys, values, { scale }).out;
}

/** Sums of the tokens so far: `[B,H,D,l]` of keys by memory row, `[B,H,l,E]` of values. */
type Sums = Readonly<Record<'keys' | 'values', Tensor>>;

function causally(
  { q, k: given, v, scale, lengths, shape, parameters }: Luna,
  state?: Partial<Sums>,
  start = 0,
): { readonly out: Tensor; readonly state: Sums } {
  const { L, S } = shape;
  const k = realKeys(given, lengths);
  const shares = map(
    (x) => x.max(0).add(x.abs().mul(-Math.LN2).exp().add(1).log().mul(Math.LOG2E)),
    matmul(mul(k, scale), parameters.memory, { transposeB: true }),
  ); // [B, G, S, l]
  // tokens that each query has seen
  const seen = tensor(
    Float32Array.from({ length: L }, (_, i) => Math.max(1, start + i + 1 + S - L)),
    [L, 1],
    { device: q.device },
  );
  const sums = (a: Tensor, b: Tensor, c: Tensor, initialState: Tensor | undefined) =>
    linearAttend(a, b, c, {
      causal: true,
      normalise: false,
      ...(lengths && { lengths }),
      ...(initialState && { initialState }),
    });
  const keys = sums(mul(q, scale), k, shares, state?.keys);
  const values = sums(softmax(div(keys.out, seen)), shares, v, state?.values);
  return { out: div(values.out, seen), state: { keys: keys.state, values: values.state } };
}
