import { integer } from '../../attention/options.js';
import { learned, normalOf, type ParameterSpecs } from '../../attention/parameters.js';
import { withoutPadding } from '../../attention/patterns/without-padding.js';
import { defineMixer } from './define.js';
import { learnedRows } from './heads.js';
import { summaryOfBlock } from './set-attention.js';
import { blockCost, blockParameters, paper, refuseSizes, setBlock, setOptions } from './set-block.js';

/** A set in a few rows (PMA). */
export const poolingAttention = defineMixer({
  name: 'pooling-attention',
  summary: 'A few learned rows attend to a set and stand for it from there on (PMA of Set Transformer).',
  paper,
  formula: 'out = MAB(S, x),  MAB as in set-attention',
  relativeToPaper: `as in the released code there is no perceptron of x before the block. ${summaryOfBlock}`,
  options: { seeds: integer({ min: 1, default: 1, help: 'learned rows that it gives' }), ...setOptions },
  supports: { causal: false, padding: true },
  parameters: (sizes, options): ParameterSpecs => ({
    seeds: learned([options.seeds, sizes.features], normalOf(sizes.features ** -0.5)),
    ...blockParameters(sizes, options),
  }),
  refuse: refuseSizes,
  resize: (_, { seeds }) => seeds,
  cost: (sizes, { seeds }) => ({ multiplyAdds: blockCost(sizes, seeds, sizes.length) }),
  forward: ({ x, sizes, lengths, parameters }) => {
    const seeds = learnedRows(parameters['seeds']!, x);
    return setBlock([seeds, withoutPadding(x, lengths)], (name) => parameters[name], sizes.heads, lengths);
  },
});
