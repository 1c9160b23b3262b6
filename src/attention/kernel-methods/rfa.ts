import { select, type F32 } from '../../codegen/expression/index.js';
import { concat, linearAttend, map, matmul, mul, reshape, sigmoid, square, sum, neg } from '../../ops/index.js';
import type { Tensor } from '../../tensor/index.js';
import { defineAttention, type Call } from '../define.js';
import { choice, flag, integer, number, type OptionValues } from '../options.js';
import { constantOf, drawn, learned, normalOf, type ParameterSpecs } from '../parameters.js';
import { byKeyHeads } from './by-heads.js';
import { quotient, withOnes } from './divide.js';
import { realKeys } from '../real-keys.js';
import { repeatHeads } from '../../ops/repeat-heads.js';
import { gateLogits, gateParameters, logSigmoid } from './gates.js';

const options = {
  numFeatures: integer({
    min: 1,
    default: 128,
    help: 'random features, a sine and a cosine of each projection; rounded up to an even number',
  }),
  temperature: number({ min: 1e-3, default: 1, help: 'τ: weights near exp(q̂·k̂/τ²) of rows of length 1' }),
  gate: flag({ default: false, help: 'causal: a learned share of the state is forgotten at every key' }),
  scaling: choice(['theory', 'released'], {
    default: 'theory',
    help: 'features times M^(−½) and divisors of at least 1e-6; or, as in the released code, times 0.1 and at least 1',
  }),
};
type Options = OptionValues<typeof options>;
type Features = Call<typeof options>;

/** Projections, of which each gives two features. */
const rowsOf = ({ numFeatures }: Options): number => Math.ceil(numFeatures / 2);

/** The Gaussian kernel of queries and keys of length 1 by sines and cosines of random projections. */
export const rfa = defineAttention({
  name: 'rfa',
  family: 'kernel-methods',
  summary: 'exp(q·k) of rows of length 1 by random sines and cosines; causal attention may forget by a learned gate.',
  paper: {
    authors: 'Peng, Pappas, Yogatama, Schwartz, Smith, Kong',
    title: 'Random Feature Attention',
    year: 2021,
    arxiv: '2103.02143',
  },
  formula:
    'out_i = Σ_j (φ(q_i)·φ(k_j)) v_j / Σ_j φ(q_i)·φ(k_j),  φ(x) = M^(−½) [sin W̃x̂, cos W̃x̂],  x̂ = x/(‖x‖ + 1e-3),  W̃ = σ ∘ W/τ,  W ~ N(0, I)',
  complexity: 'n·M·d',
  exactness: 'biased',
  relativeToPaper:
    'scale is not used, as temperature stands for it. One projection a key head is drawn and kept; the authors draw one of 500 in every step of training. The gate reads the key, as attention has no other view of the token. Divisors nearer to 0 than 1e-6 are as large; where scaling is released they are at least 1, in causal attention whatever their sign, else by their size.',
  options,
  supports: { causal: true, cross: true, padding: true, score: false, groupedHeads: true, decode: 'recurrent' },
  parameters: (shape, options): ParameterSpecs => ({
    projection: drawn([shape.G, rowsOf(options), shape.D], normalOf()),
    deviation: learned([shape.G, 1, shape.D], constantOf(1)),
    ...(options.gate && gateParameters('gate', [shape.G, shape.D, 1])),
  }),
  refuse: (_, { gate }, causal) => (gate && !causal ? ['gate is of causal attention, where keys have an order'] : []),
  cost: (shape, options) => {
    const { B, H, G, L, S, D, E } = shape;
    const M = 2 * rowsOf(options);
    const projections = (B * (H * L + G * S) * D * M) / 2 + (options.gate ? B * G * S * D : 0);
    return { multiplyAdds: projections + B * H * (L + S) * M * (E + 1) };
  },
  forward: (call) => {
    const { B, H, G, L, S } = call.shape;
    // half as many angles as features, which are there twice for a while
    const bytes = 4 * B * 5 * rowsOf(call.options) * ((H / G) * L + S);
    const ofHeads = { projection: 'k', deviation: 'k', gateWeight: 'k', gateBias: 'k' } as const;
    return { out: byKeyHeads(call, bytes, (part) => attend(part).out, ofHeads) };
  },
  recurrence: { step: (call, state) => attend(call, state?.['sums']) },
});

function attend(
  call: Features,
  initialState?: Tensor,
): { readonly out: Tensor; readonly state: { readonly sums: Tensor } } {
  const { causal, lengths, options } = call;
  const k = realKeys(call.k, lengths);
  const gate = options.gate ? gateOf(k, call) : undefined;
  const keys = features(k, call);
  const { out, state: sums } = linearAttend(
    features(call.q, call),
    gate ? mul(keys, gate.taken) : keys,
    withOnes(call.v),
    {
      causal,
      normalise: false,
      ...(gate && { decay: gate.decay }),
      ...(lengths && { lengths }),
      ...(initialState && { initialState }),
    },
  );
  return { out: quotient(out, divisorOf(options, causal)), state: { sums } };
}

const least = 1e-6;

/** What the sum of a row's weights becomes: estimates may be near 0, or negative. */
const divisorOf =
  ({ scaling }: Options, causal: boolean) =>
  (weight: F32): F32 =>
    scaling === 'theory'
      ? select(weight.lt(0), weight.min(-least), weight.max(least))
      : (causal ? weight : weight.abs()).max(1);

/** `[B, heads, n, M]` of rows of queries or keys, which share the projections of their key head. */
function features(x: Tensor, { options, parameters, shape: { B, G } }: Features): Tensor {
  const { temperature, scaling } = options;
  const [heads, n, D] = x.shape.slice(1) as [number, number, number];
  const M = 2 * rowsOf(options);
  // the derivative of a length is none at 0, where rows are padding
  const length = map((squares) => squares.max(1e-30).sqrt().add(1e-3), sum(square(x), { axes: -1, keepDims: true }));
  const unit = reshape(
    map((y, by) => y.div(by), x, length),
    [B, G, (heads / G) * n, D],
  );
  const directions = mul(mul(parameters['projection']!, parameters['deviation']!), 1 / temperature); // [G, M/2, D]
  const angles = matmul(unit, directions, { transposeB: true });
  const factor = scaling === 'theory' ? Math.sqrt(2 / M) : 0.1;
  const waves = [map((x) => x.sin().mul(factor), angles), map((x) => x.cos().mul(factor), angles)];
  return reshape(concat(waves, { axis: -1 }), [B, heads, n, M]);
}

/** g = σ(w·k + b) of every key as `[B, H, S]` logarithms, and 1 − g as `[B, G, S, 1]`. */
function gateOf(k: Tensor, { parameters, shape: { B, G, H, S } }: Features): { decay: Tensor; taken: Tensor } {
  const logits = gateLogits(k, 'gate', parameters);
  const decay = repeatHeads(reshape(map(logSigmoid, logits), [B, G, S]), H);
  return { decay, taken: sigmoid(neg(logits)) };
}
