import { fourierMix, fourierMixCost } from '../../ops/index.js';
import { defineMixer } from './define.js';

/** Rows and features mixed by a Fourier transform: no weights, nothing learned. */
export const fnetMixer = defineMixer({
  name: 'fnet',
  summary: 'Attention replaced by the real part of a two-dimensional Fourier transform; nothing is learned.',
  paper: {
    authors: 'Lee-Thorp et al.',
    title: 'FNet: Mixing Tokens with Fourier Transforms',
    year: 2021,
    arxiv: '2105.03824',
  },
  formula: 'out = Re(F_n X F_F),  F_jk = e^{−2πi·jk/n}',
  options: {},
  supports: { causal: false, padding: false },
  cost: ({ features, length }) => ({ multiplyAdds: fourierMixCost(1, length, features) }),
  forward: ({ x }) => fourierMix(x),
});
