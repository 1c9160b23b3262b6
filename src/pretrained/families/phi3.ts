import { chain, parted, transposed } from '../../nn/index.js';
import { real } from '../fields.js';
import { linear } from '../projections.js';
import { llamaLike, ours, windowFields } from '../llama-like.js';
import { seen } from '../windows.js';

/** Queries, keys and values are one tensor of the file, in that order, and so are gate and up. */
export const phi3 = llamaLike({
  modelType: 'phi3',
  title: 'Phi-3',
  paper: { authors: 'Abdin et al.', title: 'Phi-3 Technical Report', year: 2024, arxiv: '2404.14219' },
  stem: 'Phi3',
  fields: { rms_norm_eps: real(1e-5), sliding_window: windowFields.sliding_window },
  config: ({ sliding_window }) => seen(sliding_window),
  map: ({ intermediate_size: hidden }) => ({
    qkv: (attention) => linear(`${attention}.qkv_proj`, `${ours}.attention.qkv`).slice(0, 1),
    feedForward: (layer) => [
      [
        `${layer}.mlp.gate_up_proj.weight`,
        [`${ours}.feedForward.gate.weight`, `${ours}.feedForward.up.weight`],
        chain(transposed, parted(1, [hidden, hidden])),
      ],
      ...linear(`${layer}.mlp.down_proj`, `${ours}.feedForward.down`).slice(0, 1),
    ],
  }),
});
