import { transposed } from '../../nn/index.js';
import { count, real } from '../fields.js';
import { gatedOf, llamaLike, ours, windowFields } from '../llama-like.js';
import { expertsRule, runExperts } from '../routers.js';
import { seen } from '../windows.js';

export const mixtral = llamaLike({
  modelType: 'mixtral',
  title: 'Mixtral',
  paper: { authors: 'Jiang et al.', title: 'Mixtral of Experts', year: 2024, arxiv: '2401.04088' },
  stem: 'Mixtral',
  base: 1e6,
  fields: {
    rms_norm_eps: real(1e-5),
    sliding_window: windowFields.sliding_window,
    num_local_experts: count(8),
    num_experts_per_tok: count(2),
  },
  config: (theirs) => ({
    ...seen(theirs.sliding_window),
    feedForward: {
      name: 'mixtral',
      ...gatedOf(theirs),
      options: { experts: theirs.num_local_experts, active: theirs.num_experts_per_tok },
    },
  }),
  map: ({ num_local_experts: experts, hidden_size: width, intermediate_size: hidden }) => ({
    feedForward: (layer) => [
      [`${layer}.block_sparse_moe.gate.weight`, `${ours}.feedForward.router`, transposed],
      ...(['w1', 'w3', 'w2'] as const).map((name) =>
        expertsRule(
          `${layer}.block_sparse_moe.experts.{e}.${name}.weight`,
          `${ours}.feedForward.${{ w1: 'gate', w3: 'up', w2: 'down' }[name]}`,
          name === 'w2' ? { experts, inputs: hidden, outputs: width } : { experts, inputs: width, outputs: hidden },
        ),
      ),
    ],
  }),
  run: runExperts,
});
