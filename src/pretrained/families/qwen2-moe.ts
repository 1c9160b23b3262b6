import { counts, count, yes } from '../fields.js';
import { gatedOf, gatedRules, layersByType, llamaLike } from '../llama-like.js';
import { runExperts } from '../routers.js';
import { gatedExperts, sharedExpert } from './olmoe.js';
import { qwenTypes, qwenWindows } from './qwen2.js';

type DenseFields = Parameters<typeof gatedOf>[0];

/** What says where experts are, and how many. */
interface ExpertFields extends DenseFields {
  readonly decoder_sparse_step: number;
  readonly mlp_only_layers: readonly number[];
  readonly moe_intermediate_size: number;
  readonly shared_expert_intermediate_size: number;
  readonly num_experts: number;
  readonly num_experts_per_tok: number;
  readonly norm_topk_prob: boolean;
}

/** The feed-forward part of layer i, as JSON: experts in every so many-th layer that is not named as dense. */
export function qwenFeedForward(theirs: ExpertFields): (i: number) => object {
  const { decoder_sparse_step: step, mlp_only_layers: dense, num_experts: experts } = theirs;
  const sparse = {
    name: 'mixtral',
    ...gatedOf({ ...theirs, intermediate_size: theirs.moe_intermediate_size }),
    options: {
      experts,
      active: theirs.num_experts_per_tok,
      renormalise: theirs.norm_topk_prob,
      shared: theirs.shared_expert_intermediate_size,
      sharedGate: true,
    },
  };
  return (i) => (experts > 0 && !dense.includes(i) && (i + 1) % step === 0 ? sparse : gatedOf(theirs));
}

/** Experts beside a layer that all tokens go through, times a gate of each token; some layers may be dense. */
export const qwen2Moe = llamaLike({
  modelType: 'qwen2_moe',
  title: 'Qwen2-MoE',
  paper: { authors: 'Yang et al.', title: 'Qwen2 Technical Report', year: 2024, arxiv: '2407.10671' },
  stem: 'Qwen2Moe',
  fields: {
    ...qwenWindows,
    qkv_bias: yes(true),
    decoder_sparse_step: count(1),
    mlp_only_layers: counts([]),
    moe_intermediate_size: count(1408),
    shared_expert_intermediate_size: count(5632),
    num_experts: count(60),
    num_experts_per_tok: count(4),
    norm_topk_prob: yes(false),
  },
  config: (theirs) => {
    const feedForward = qwenFeedForward(theirs);
    return {
      bias: theirs.qkv_bias ? 'qkv' : false,
      ...layersByType(qwenTypes(theirs), theirs.sliding_window, (_, i) => ({
        feedForward: feedForward(i),
      })),
    };
  },
  map: ({ num_experts: experts, hidden_size: width, moe_intermediate_size: hidden }) => ({
    feedForward: (layer) => [
      ...gatedExperts(layer, { experts, width, hidden }),
      ...sharedExpert(layer),
      ...gatedRules(layer),
    ],
  }),
  run: runExperts,
});
