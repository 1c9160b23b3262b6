import { activationNames, activationOf } from '../activations.js';
import { defineFamily } from '../family.js';
import { count, real, word, yes } from '../fields.js';
import { ours } from '../llama-like.js';
import { classesOf, headOf, headRules } from '../decoder-heads.js';
import { byGroups, linear } from '../projections.js';
import { ropeFields, ropeOf } from '../rotary.js';

/** Both branches read the stream, a quarter of each head turns. */
export const gptNeox = defineFamily({
  modelType: 'gpt_neox',
  title: 'GPT-NeoX, Pythia',
  paper: {
    authors: 'Black et al.',
    title: 'GPT-NeoX-20B: An Open-Source Autoregressive Language Model',
    year: 2022,
    arxiv: '2204.06745',
  },
  classes: classesOf('GPTNeoX', { head: 'embed_out', tokens: 'classifier' }),
  prefix: 'gpt_neox.',
  fields: {
    ...ropeFields,
    vocab_size: count(50432, 2),
    hidden_size: count(6144),
    num_hidden_layers: count(44),
    num_attention_heads: count(64),
    intermediate_size: count(24576),
    hidden_act: word(activationNames, 'gelu'),
    rotary_pct: real(0.25),
    rotary_emb_base: real(10000),
    layer_norm_eps: real(1e-5),
    use_parallel_residual: yes(true),
    attention_bias: yes(true),
    tie_word_embeddings: yes(false),
  },
  config: (theirs, cls) => {
    const headDim = theirs.hidden_size / theirs.num_attention_heads;
    return {
      vocabulary: theirs.vocab_size,
      length: theirs.max_position_embeddings,
      layers: theirs.num_hidden_layers,
      width: theirs.hidden_size,
      heads: theirs.num_attention_heads,
      bias: theirs.attention_bias,
      ...headOf(theirs, cls),
      position: ropeOf(theirs, { headDim, base: theirs.rotary_emb_base, rotary: theirs.rotary_pct }),
      feedForward: { hidden: theirs.intermediate_size, activation: activationOf(theirs.hidden_act) },
      norm: { kind: 'layer', epsilon: theirs.layer_norm_eps },
      ...(theirs.use_parallel_residual && { residual: { kind: 'plain', parallel: 'two' } }),
    };
  },
  map: (theirs, cls, { heads, kvHeads, headDim }) => {
    const { prefix } = cls;
    const layer = `${prefix}layers.{i}`;
    const head = headRules(theirs, cls, { head: 'embed_out', table: `${prefix}embed_in.weight`, tokens: 'classifier' });
    return {
      rules: [
        [`${prefix}embed_in.weight`, 'ends.embedding.weight'],
        [`${layer}.input_layernorm.{*}`, `${ours}.attentionResidual.norm.{*}`],
        [`${layer}.post_attention_layernorm.{*}`, `${ours}.feedForwardResidual.norm.{*}`],
        ...byGroups(`${layer}.attention.query_key_value`, `${ours}.attention`, { heads, kvHeads, headDim }),
        ...linear(`${layer}.attention.dense`, `${ours}.attention.out`),
        ...linear(`${layer}.mlp.dense_h_to_4h`, `${ours}.feedForward.up`),
        ...linear(`${layer}.mlp.dense_4h_to_h`, `${ours}.feedForward.down`),
        [`${prefix}final_layer_norm.{*}`, 'stack.norm.{*}'],
        ...head.rules,
      ],
      ties: head.ties,
      ignored: ['bias', 'masked_bias', 'rotary_emb.inv_freq'].map((name) => `${layer}.attention.${name}`),
    };
  },
});
