import { withoutPadding } from '../../attention/patterns/without-padding.js';
import { defineMixer } from './define.js';
import { blockCost, blockParameters, paper, refuseSizes, setBlock, setOptions } from './set-block.js';

export const summaryOfBlock =
  'The norm before the block is the layer’s; the released code has those inside off, as here. The residual inside is that of the projected queries, and what the block gives is the stream from there on. Padding is hidden.';

/** A set attends to itself (SAB). */
export const setAttention = defineMixer({
  name: 'set-attention',
  summary: 'The elements of a set attend to each other, with a layer of their own (SAB of Set Transformer).',
  paper,
  formula: 'out = MAB(x, x),  MAB(x, y) = H + relu(H W_o + b),  H = x W_q + softmax(x W_q (y W_k)ᵀ/√F) y W_v by heads',
  relativeToPaper: summaryOfBlock,
  options: setOptions,
  supports: { causal: false, padding: true },
  parameters: (sizes, options) => blockParameters(sizes, options),
  refuse: refuseSizes,
  // as many, but the residual is inside
  resize: (rows) => rows,
  cost: (sizes) => ({ multiplyAdds: blockCost(sizes, sizes.length, sizes.length) }),
  forward: ({ x, sizes, lengths, parameters }) => {
    const rows = withoutPadding(x, lengths);
    return setBlock([rows, rows], (name) => parameters[name], sizes.heads, lengths);
  },
});
