import { activationNames, activationOf } from '../activations.js';
import { count, real, word, yes } from '../fields.js';
import { gatedRules, layersByType, llamaLike, noBias, windowFields, type NormNames } from '../llama-like.js';
import type { LayerType } from '../windows.js';

/** Fields of both Gemmas that are here. */
export const gemmaFields = {
  ...windowFields,
  head_dim: count(256),
  hidden_activation: word(activationNames, 'gelu_pytorch_tanh'),
  query_pre_attn_scalar: real(256),
  attn_logit_softcapping: real(null),
  final_logit_softcapping: real(null),
  attention_bias: noBias,
  tie_word_embeddings: yes(true),
} as const;

export interface GemmaTheirs {
  readonly hidden_size: number;
  readonly intermediate_size: number;
  readonly num_hidden_layers: number;
  readonly rms_norm_eps: number;
  readonly hidden_activation: Parameters<typeof activationOf>[0];
  readonly query_pre_attn_scalar: number;
  readonly attn_logit_softcapping: number | null;
  readonly final_logit_softcapping: number | null;
}

export const gemmaNorms: NormNames = {
  input_layernorm: 'attentionResidual.norm',
  post_attention_layernorm: 'attentionResidual.outNorm',
  pre_feedforward_layernorm: 'feedForwardResidual.norm',
  post_feedforward_layernorm: 'feedForwardResidual.outNorm',
};

/** Norms on both sides of a branch, whose weights are what is added to 1; embeddings times √width. */
export const gemmaConfig = (theirs: GemmaTheirs, attention: object): object => ({
  embedding: { scale: Math.sqrt(theirs.hidden_size) },
  attention: {
    scale: theirs.query_pre_attn_scalar ** -0.5,
    ...(theirs.attn_logit_softcapping !== null && { softcap: theirs.attn_logit_softcapping }),
    ...attention,
  },
  feedForward: {
    hidden: theirs.intermediate_size,
    activation: activationOf(theirs.hidden_activation),
    gated: true,
  },
  norm: { kind: 'rms', place: 'both', epsilon: theirs.rms_norm_eps, centred: true },
  ...(theirs.final_logit_softcapping !== null && { prediction: { softcap: theirs.final_logit_softcapping } }),
});

export const gemma2 = llamaLike({
  modelType: 'gemma2',
  title: 'Gemma 2',
  paper: {
    authors: 'Gemma Team',
    title: 'Gemma 2: Improving Open Language Models at a Practical Size',
    year: 2024,
    arxiv: '2408.00118',
  },
  stem: 'Gemma2',
  fields: {
    ...gemmaFields,
    sliding_window: count(4096),
    attn_logit_softcapping: real(50),
    final_logit_softcapping: real(30),
  },
  config: (theirs) => {
    const types =
      theirs.layer_types ??
      Array.from({ length: theirs.num_hidden_layers }, (_, i): LayerType =>
        i % 2 === 0 ? 'sliding_attention' : 'full_attention',
      );
    return { ...gemmaConfig(theirs, {}), ...layersByType(types, theirs.sliding_window) };
  },
  map: () => ({ norms: gemmaNorms, feedForward: gatedRules }),
});
