import { transposed, type WeightRule } from '../../nn/index.js';
import { count, only, real, yes } from '../fields.js';
import { gatedOf, llamaLike, noBias, ours } from '../llama-like.js';
import { linear } from '../projections.js';
import { expertsRule, runExperts } from '../routers.js';

/** The router and its experts, as OLMoE and Qwen call them. */
export const gatedExperts = (
  layer: string,
  sizes: { readonly experts: number; readonly width: number; readonly hidden: number },
): readonly WeightRule[] => {
  const { experts, width, hidden } = sizes;
  return [
    [`${layer}.mlp.gate.weight`, `${ours}.feedForward.router`, transposed],
    ...(['gate', 'up', 'down'] as const).map((name) =>
      expertsRule(
        `${layer}.mlp.experts.{e}.${name}_proj.weight`,
        `${ours}.feedForward.${name}`,
        name === 'down' ? { experts, inputs: hidden, outputs: width } : { experts, inputs: width, outputs: hidden },
      ),
    ),
  ];
};

/** The expert that all tokens go through, and its gate, as Qwen calls them. */
export const sharedExpert = (layer: string): readonly WeightRule[] => [
  ...['gate', 'up', 'down'].flatMap((name) =>
    linear(`${layer}.mlp.shared_expert.${name}_proj`, `${ours}.feedForward.shared.${name}`).slice(0, 1),
  ),
  ...linear(`${layer}.mlp.shared_expert_gate`, `${ours}.feedForward.sharedGate`).slice(0, 1),
];

/** Weights of the chosen experts are not renormalised; queries and keys are normalised over all heads. */
export const olmoe = llamaLike({
  modelType: 'olmoe',
  title: 'OLMoE',
  paper: {
    authors: 'Muennighoff et al.',
    title: 'OLMoE: Open Mixture-of-Experts Language Models',
    year: 2024,
    arxiv: '2409.02060',
  },
  stem: 'Olmoe',
  fields: {
    rms_norm_eps: real(1e-5),
    attention_bias: noBias,
    clip_qkv: only([null], 'queries, keys and values are not clipped here'),
    num_experts: count(64),
    num_experts_per_tok: count(8),
    norm_topk_prob: yes(false),
  },
  config: (theirs) => ({
    attention: { queryKeyNorm: 'all' },
    feedForward: {
      name: 'mixtral',
      ...gatedOf(theirs),
      options: {
        experts: theirs.num_experts,
        active: theirs.num_experts_per_tok,
        renormalise: theirs.norm_topk_prob,
      },
    },
  }),
  map: ({ num_experts: experts, hidden_size: width, intermediate_size: hidden }) => ({
    feedForward: (layer) => gatedExperts(layer, { experts, width, hidden }),
  }),
  run: runExperts,
});
