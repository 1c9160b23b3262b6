import { fourierMix, fourierMixCost, reshape, transpose } from '../../ops/index.js';
import { defineAttention } from '../define.js';

/** Tokens and features mixed by a Fourier transform: no weights, nothing learned. */
export const fnet = defineAttention({
  name: 'fnet',
  family: 'mixers',
  level: 'mixer',
  summary: 'Attention replaced by the real part of a two-dimensional Fourier transform; nothing is learned.',
  paper: {
    authors: 'Lee-Thorp et al.',
    title: 'FNet: Mixing Tokens with Fourier Transforms',
    year: 2021,
    arxiv: '2105.03824',
  },
  formula: 'out = Re(F_n X F_D),  X = v with its heads side by side,  F_jk = e^{−2πi·jk/n}',
  complexity: 'n·D·(log n + log D)',
  exactness: 'learned',
  relativeToPaper:
    'the paper mixes the embeddings themselves; here X is v, which is the same where v is not projected. q and k are not looked at.',
  options: {},
  supports: { causal: false, cross: false, padding: false, score: false, groupedHeads: false, decode: false },
  cost: ({ B, H, L, E }) => ({ multiplyAdds: fourierMixCost(B, L, H * E) }),
  forward: ({ v, shape: { B, H, L, E } }) => {
    const tokens = reshape(transpose(v, [0, 2, 1, 3]), [B, L, H * E]);
    const mixed = fourierMix(tokens); // [B, L, H·E]
    return { out: transpose(reshape(mixed, [B, L, H, E]), [0, 2, 1, 3]) };
  },
});
