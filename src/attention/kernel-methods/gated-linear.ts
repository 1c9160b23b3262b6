import { map } from '../../ops/index.js';
import type { Tensor } from '../../tensor/index.js';
import { defineAttention, type Call } from '../define.js';
import { number } from '../options.js';
import { realKeys } from '../real-keys.js';
import { gateLogits, gateParameters, logSigmoid } from './gates.js';
import { attendRecurrently, recurrentCost, type Recurrent } from './recurrent.js';

const options = {
  tau: number({ min: 1e-2, default: 16, help: 'τ: a gate keeps σ(x)^(1/τ); the larger, the more slowly it forgets' }),
};

/** Linear attention in which every feature of the state forgets as the token says. */
export const gatedLinear = defineAttention({
  name: 'gated-linear',
  family: 'kernel-methods',
  summary: 'Linear attention in which each token says how much each feature of the state forgets.',
  paper: {
    authors: 'Yang, Wang, Shen, Panda, Kim',
    title: 'Gated Linear Attention Transformers with Hardware-Efficient Training',
    year: 2023,
    arxiv: '2312.06635',
  },
  formula: 'out_i = scale·S_iᵀ q_i,  S_i = Diag(α_i) S_(i−1) + k_i v_iᵀ,  α_i = σ(gate_i·W + b)^(1/τ)',
  complexity: 'n·d²',
  exactness: 'learned',
  relativeToPaper:
    'the gate is of a projection of as many numbers as a value, where the authors take 16, and of the value where the caller has none; the norm and the output gate behind it are the layer’s. Decays are multiplied within steps of 8 positions instead of taken from differences of logarithms in chunks and subchunks, so that none is too small.',
  options,
  inputs: { gate: 'v' },
  supports: { causal: 'only', cross: false, padding: true, score: false, groupedHeads: true, decode: 'recurrent' },
  parameters: ({ G, D, E }) => gateParameters('gate', [G, E, D]),
  cost: (shape) => recurrentCost(shape, 2, shape.D),
  forward: (call) => ({ out: attend(call).out }),
  recurrence: { step: attend },
});

function attend(call: Call<typeof options, string, 'gate'>, state?: Readonly<Record<string, Tensor>>): Recurrent {
  const {
    q,
    lengths,
    inputs,
    parameters,
    options: { tau },
  } = call;
  const gate = gateLogits(realKeys(inputs.gate, lengths), 'gate', parameters);
  const decay = map((x) => logSigmoid(x).mul(1 / tau), gate);
  return attendRecurrently(call, { q, k: call.k, decay }, state);
}
