import { attendWithin, constantOf, costOfPairs, defineAttention, drawn, uniformOf } from '../../src/attention/index.js';
import { add, mean, mul, square, sub } from '../../src/ops/index.js';
import { tensor } from '../../src/tensor/index.js';

/** Has all that a mechanism can have beside its output: a loss, a state of the text, noise in training, and a moving centre of the keys. */
export const centred = defineAttention({
  name: 'centred',
  family: 'exact',
  summary: 'Attention to keys without their moving centre, and half of what came before.',
  paper: { authors: 'Nobody', title: 'None', year: 2026 },
  formula: 'softmax(q (k − c)ᵀ) v + last / 2 + noise;  c ← (c + mean k) / 2',
  complexity: 'n²·d',
  exactness: 'exact',
  options: {},
  supports: { causal: true, cross: false, padding: true, score: true, groupedHeads: true, decode: 'cache' },
  parameters: ({ G, D }) => ({ centre: drawn([1, G, 1, D], constantOf(0.25)) }),
  cost: (shape) => costOfPairs(shape, shape.H * shape.L * shape.S),
  forward: (call) => {
    const { k, v, parameters, state, losses, training } = call;
    const { centre } = parameters;
    const apart = sub(k, centre);
    const { out, logsumexp } = attendWithin({ ...call, k: apart });
    const noise = training && uniformOf(0.5)(out.shape, training.seed, training.purpose);
    const carried = state['last'] ? add(out, mul(state['last'], 0.5)) : out;
    return {
      out: noise ? add(carried, tensor(noise, out.shape, { device: out.device })) : carried,
      logsumexp: logsumexp!,
      ...(losses && { losses: { distance: mean(square(apart)) } }),
      state: { last: mean(v, { axes: [0, 1, 2], keepDims: true }) },
      ...(training && { updates: { centre: mul(add(centre, mean(k, { axes: [0, 2], keepDims: true })), 0.5) } }),
    };
  },
});
