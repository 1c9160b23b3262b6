import { broadcastTo } from '../../ops/index.js';
import { tensor, type Tensor } from '../../tensor/index.js';
import { defineAttention, type Call } from '../define.js';
import { attendRecurrently, recurrentCost, type Recurrent } from './recurrent.js';

/** Linear attention in which every head forgets at a rate of its own. */
export const retention = defineAttention({
  name: 'retention',
  family: 'kernel-methods',
  summary:
    'Linear attention whose weights fade with distance, each head at a rate of its own; a state of d × d numbers a head.',
  paper: {
    authors: 'Sun, Dong, Huang, Ma, Xia, Xue, Wang, Wei',
    title: 'Retentive Network: A Successor to Transformer for Large Language Models',
    year: 2023,
    arxiv: '2307.08621',
  },
  formula: 'out_i = Σ_(j ≤ i) γ^(i−j) (scale·q_i·k_j) v_j,  γ = 1 − 2^(−5−h) of head h',
  complexity: 'n·d²',
  exactness: 'learned',
  relativeToPaper:
    'rotation of queries and keys is that of the layer (xPos is a rotation and a decay; the decay is here), and so are the norm of each head and the gate behind it, by which the divisors of its section 2.4 cancel.',
  options: {},
  supports: { causal: 'only', cross: false, padding: true, score: false, groupedHeads: true, decode: 'recurrent' },
  cost: (shape) => recurrentCost(shape, 2, 0),
  forward: (call) => ({ out: attend(call).out }),
  recurrence: { step: attend },
});

function attend(call: Call, state?: Readonly<Record<string, Tensor>>): Recurrent {
  const { q, shape } = call;
  const { B, H, S } = shape;
  const rates = Float32Array.from({ length: H }, (_, h) => Math.log1p(-(2 ** (-5 - h))));
  const decay = broadcastTo(tensor(rates, [1, H, 1], { device: q.device }), [B, H, S]);
  return attendRecurrently(call, { q, k: call.k, decay }, state);
}
