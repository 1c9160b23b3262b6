import { real } from '../fields.js';
import { llamaLike, noBias } from '../llama-like.js';

/** Norms stand behind the branches, and queries and keys are normalised over all heads. */
export const olmo2 = llamaLike({
  modelType: 'olmo2',
  title: 'OLMo 2',
  paper: { authors: 'OLMo Team', title: '2 OLMo 2 Furious', year: 2025, arxiv: '2501.00656' },
  stem: 'Olmo2',
  fields: { rms_norm_eps: real(1e-5), attention_bias: noBias },
  config: ({ rms_norm_eps: epsilon }) => ({
    attention: { queryKeyNorm: 'all' },
    norm: { kind: 'rms', place: 'branch', epsilon },
  }),
  map: () => ({
    norms: {
      post_attention_layernorm: 'attentionResidual.norm',
      post_feedforward_layernorm: 'feedForwardResidual.norm',
    },
  }),
});
