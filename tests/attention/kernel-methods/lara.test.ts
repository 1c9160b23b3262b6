// of attention/kernel-methods/{from-vectors,lara-weights}

import { lara } from '../../../src/attention/kernel-methods/index.js';
import { gate } from '../../contract/gate/index.js';
import * as oracles from '../../oracles/lara.js';

const many = { noise: true, numSamples: 2, antithetic: true } as const;

gate(lara, {
  oracle: oracles.lara,
  options: [
    { numLandmarks: 5 },
    { numLandmarks: 4, proposal: 'segment', mixing: 'keys', weighting: 'balanced', ...many },
    { numLandmarks: 3, proposal: 'plain', mixing: 'values', weighting: 'biased', ...many },
    { numLandmarks: 3, proposal: 'plain', coefficient: 0.5, ...many },
  ],
  draw: (next, { L, S }) => {
    const pick = <T>(list: readonly T[]): T => list[Math.floor(next() * list.length)]!;
    const noise = next() < 0.5;
    return {
      numLandmarks: 1 + Math.floor(next() * Math.min(6, L, S)),
      proposal: pick(['pool', 'segment', 'plain'] as const),
      mixing: pick(['none', 'keys', 'values'] as const),
      weighting: pick(['optimal', 'balanced', 'biased'] as const),
      coefficient: next(),
      noise,
      numSamples: noise ? 1 + Math.floor(2 * next()) : 1,
      antithetic: noise && next() < 0.5,
    };
  },
  refused: [{ options: { numSamples: 2 } }, { options: { antithetic: true } }, { options: { numLandmarks: 18 } }],
});
