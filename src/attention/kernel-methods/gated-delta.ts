import { map, sigmoid } from '../../ops/index.js';
import type { Tensor } from '../../tensor/index.js';
import { defineAttention, type Call } from '../define.js';
import { learned, unitUniform, type Initialiser } from '../parameters.js';
import { gateLogits, gateParameters, softplus } from './gates.js';
import {
  attendRecurrently,
  featureMap,
  onePerKey,
  recurrentCost,
  refuseSigns,
  unitInputs,
  type Recurrent,
} from './recurrent.js';

const options = { featureMap };

/** ln of a rate from 1 to 16, as in Mamba-2 (Dao, Gu 2024, arXiv:2405.21060). */
export const uniformRates: Initialiser = (shape, seed, purpose) =>
  unitUniform(shape, seed, purpose).map((x) => Math.log(1 + 15 * x));

/** What `softplus` makes a step from 0.001 to 0.1, evenly in its logarithm. */
export const stepSizes: Initialiser = (shape, seed, purpose) =>
  unitUniform(shape, seed, purpose).map((x) => Math.log(Math.expm1(0.001 * 100 ** x)));

/** A state that forgets as a whole, and that a key overwrites where it was written to. */
export const gatedDelta = defineAttention({
  name: 'gated-delta',
  family: 'kernel-methods',
  summary: 'The delta rule on a state that each token may make forget.',
  paper: {
    authors: 'Yang, Kautz, Hatamizadeh',
    title: 'Gated Delta Networks: Improving Mamba2 with Delta Rule',
    year: 2024,
    arxiv: '2412.06464',
  },
  formula:
    'out_i = scale·S_iᵀ q̂_i,  S_i = α_i S_(i−1) + β_i k̂_i (v_i − α_i S_(i−1)ᵀ k̂_i)ᵀ,  α = exp(−eᵃ·softplus(gate·w + b)),  β = σ(gate·w′ + b′)',
  complexity: 'n·d²',
  exactness: 'learned',
  relativeToPaper:
    'lengths are √(‖x‖² + 1e-6); the short convolutions before it, and the norm and gate behind it, are the layer’s. α and β are of one projection, and of the value where the caller has none.',
  options,
  inputs: { gate: 'v' },
  supports: { causal: 'only', cross: false, padding: true, score: false, groupedHeads: true, decode: 'recurrent' },
  parameters: (shape) => ({
    ...gateParameters('beta', [shape.G, shape.E, 1]),
    ...gateParameters('decay', [shape.G, shape.E, 1], stepSizes),
    rate: learned([shape.G, 1, 1], uniformRates),
  }),
  refuse: refuseSigns,
  cost: (shape) => recurrentCost(shape, 3, 2),
  forward: (call) => ({ out: attend(call).out }),
  recurrence: { step: attend },
});

function attend(call: Call<typeof options, string, 'gate'>, state?: Readonly<Record<string, Tensor>>): Recurrent {
  const { parameters } = call;
  const { q, k, gate } = unitInputs(call);
  const decay = map(
    (x, rate) => softplus(x).mul(rate.exp()).neg(),
    gateLogits(gate, 'decay', parameters),
    parameters['rate']!,
  );
  const beta = sigmoid(gateLogits(gate, 'beta', parameters));
  return attendRecurrently(call, { q, k, decay: onePerKey(decay), beta: onePerKey(beta) }, state);
}
