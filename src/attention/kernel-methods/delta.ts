import { sigmoid } from '../../ops/index.js';
import type { Tensor } from '../../tensor/index.js';
import { defineAttention, type Call } from '../define.js';
import { gateLogits, gateParameters } from './gates.js';
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

/** A state that a key overwrites where it was written to. */
export const delta = defineAttention({
  name: 'delta',
  family: 'kernel-methods',
  summary: 'The delta rule: each key replaces, by a learned share, what the state would give for it.',
  paper: {
    authors: 'Yang, Wang, Zhang, Shen, Kim',
    title: 'Parallelizing Linear Transformers with the Delta Rule over Sequence Length',
    year: 2024,
    arxiv: '2406.06484',
  },
  formula:
    'out_i = scale·S_iᵀ q̂_i,  S_i = S_(i−1) + β_i k̂_i (v_i − S_(i−1)ᵀ k̂_i)ᵀ,  β = σ(gate·w + b),  x̂ = φ(x)/‖φ(x)‖',
  complexity: 'n·d²',
  exactness: 'learned',
  relativeToPaper:
    'lengths are √(‖x‖² + 1e-6); the short convolutions before and the norm behind it are the layer’s. β is of a projection of its own, and of the value where the caller has none.',
  options,
  inputs: { gate: 'v' },
  supports: { causal: 'only', cross: false, padding: true, score: false, groupedHeads: true, decode: 'recurrent' },
  parameters: (shape) => gateParameters('beta', [shape.G, shape.E, 1]),
  refuse: refuseSigns,
  cost: (shape) => recurrentCost(shape, 3, 1),
  forward: (call) => ({ out: attend(call).out }),
  recurrence: { step: attend },
});

function attend(call: Call<typeof options, string, 'gate'>, state?: Readonly<Record<string, Tensor>>): Recurrent {
  const { parameters } = call;
  const { q, k, gate } = unitInputs(call);
  return attendRecurrently(call, { q, k, beta: onePerKey(sigmoid(gateLogits(gate, 'beta', parameters))) }, state);
}
