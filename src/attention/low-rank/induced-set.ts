import { add, attend, matmul } from '../../ops/index.js';
import { defineAttention } from '../define.js';
import { integer } from '../options.js';
import { learned, normalOf } from '../parameters.js';
import { packed } from './packed.js';

/** Attention of a set to itself through a few learned points. */
export const inducedSet = defineAttention({
  name: 'induced-set',
  family: 'low-rank',
  summary: 'A few learned points attend to the whole set, and its elements to what became of the points.',
  paper: {
    authors: 'Lee et al.',
    title: 'Set Transformer: A Framework for Attention-based Permutation-Invariant Neural Networks',
    year: 2018,
    arxiv: '1810.00825',
  },
  formula: 'out = softmax(s·q (H W)ᵀ) H,  H = J + softmax(s·I kᵀ) v',
  complexity: 'n·m·d',
  exactness: 'learned',
  relativeToPaper:
    'the attention alone: the projection of values that the second block makes of H is left to that of the output; perceptrons, norms and the residual of queries are the layer’s. The mixers set-attention, induced-set and pooling-attention are the blocks of the paper. s is 1/√D of a head, where the released code has that of all heads.',
  options: { points: integer({ min: 1, default: 32, help: 'learned points that stand for the set' }) },
  supports: { causal: false, cross: true, padding: true, score: false, groupedHeads: true, decode: false },
  parameters: ({ G, D, E }, { points }) => ({
    points: learned([G, points, D], normalOf()),
    residual: learned([G, points, E], normalOf()),
    key: learned([G, E, D], normalOf(E ** -0.5)),
  }),
  cost: ({ B, H, G, L, S, D, E }, { points: m }) => ({
    pairs: m * (G * S + H * L),
    multiplyAdds: B * m * ((G * S + H * L) * (D + E) + G * D * E),
  }),
  forward: (call) => {
    const { q, v, scale, parameters } = call;
    const found = add(packed(call, parameters.points, v), parameters.residual); // [B, G, m, E]
    return { out: attend(q, matmul(found, parameters.key), found, { scale }).out };
  },
});
