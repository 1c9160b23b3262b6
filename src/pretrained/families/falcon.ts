import { activationNames, activationOf } from '../activations.js';
import { defineFamily, type PublishedMap } from '../family.js';
import { count, real, word, yes } from '../fields.js';
import { ours } from '../llama-like.js';
import { classesOf, headOf, headRules } from '../decoder-heads.js';
import { byGroups, linear } from '../projections.js';
import { ropeFields, ropeOf } from '../rotary.js';

interface Architecture {
  readonly new_decoder_architecture: boolean;
  readonly multi_query: boolean;
  readonly parallel_attn: boolean;
  readonly num_attention_heads: number;
  readonly num_kv_heads: number | null;
  readonly num_ln_in_parallel_attn: number | null;
}

const kvHeadsOf = (theirs: Architecture): number => {
  const { num_attention_heads: heads, num_kv_heads: given, multi_query } = theirs;
  if (theirs.new_decoder_architecture) return given ?? heads;
  return multi_query ? 1 : heads;
};

/** Norms of a layer whose branches read the same stream; undefined where they follow each other. */
function parallelOf(theirs: Architecture): 'one' | 'two' | undefined {
  if (theirs.new_decoder_architecture) return (theirs.num_ln_in_parallel_attn ?? 2) === 2 ? 'two' : 'one';
  return theirs.parallel_attn ? 'one' : undefined;
}

/** Three architectures in one: one key for all heads or for groups, branches beside each other or not, rotary positions or ALiBi. */
export const falcon = defineFamily({
  modelType: ['falcon', 'RefinedWeb', 'RefinedWebModel'],
  title: 'Falcon',
  paper: {
    authors: 'Almazrouei et al.',
    title: 'The Falcon Series of Open Language Models',
    year: 2023,
    arxiv: '2311.16867',
  },
  classes: classesOf('Falcon', { tokens: 'classifier' }),
  prefix: 'transformer.',
  fields: {
    ...ropeFields,
    vocab_size: count(65024, 2),
    hidden_size: count(4544),
    num_hidden_layers: count(32),
    num_attention_heads: count(71),
    num_kv_heads: count(null as number | null),
    num_ln_in_parallel_attn: count(null as number | null),
    layer_norm_epsilon: real(1e-5),
    new_decoder_architecture: yes(false),
    multi_query: yes(true),
    parallel_attn: yes(true),
    bias: yes(false),
    alibi: yes(false),
    ffn_hidden_size: count(null as number | null),
    activation: word(activationNames, 'gelu'),
  },
  config: (theirs, cls) => {
    const headDim = theirs.hidden_size / theirs.num_attention_heads;
    const parallel = parallelOf(theirs);
    return {
      vocabulary: theirs.vocab_size,
      length: theirs.max_position_embeddings,
      layers: theirs.num_hidden_layers,
      width: theirs.hidden_size,
      heads: theirs.num_attention_heads,
      kvHeads: kvHeadsOf(theirs),
      bias: theirs.bias,
      ...headOf(theirs, cls),
      position: theirs.alibi
        ? { method: 'alibi', factor: headDim ** -0.5, rounding: 'bf16' }
        : ropeOf(theirs, { headDim }),
      feedForward: {
        hidden: theirs.ffn_hidden_size ?? 4 * theirs.hidden_size,
        activation: activationOf(theirs.activation),
        bias: theirs.bias,
      },
      norm: { kind: 'layer', epsilon: theirs.layer_norm_epsilon },
      ...(parallel && { residual: { kind: 'plain', parallel } }),
    };
  },
  map: (theirs, cls, { heads, kvHeads, headDim }): PublishedMap => {
    const { prefix } = cls;
    const layer = `${prefix}h.{i}`;
    const head = headRules(theirs, cls, { table: `${prefix}word_embeddings.weight`, tokens: 'classifier' });
    const two = parallelOf(theirs) === 'two';
    return {
      rules: [
        [`${prefix}word_embeddings.weight`, 'ends.embedding.weight'],
        [`${layer}.${two ? 'ln_attn' : 'input_layernorm'}.{*}`, `${ours}.attentionResidual.norm.{*}`],
        [`${layer}.${two ? 'ln_mlp' : 'post_attention_layernorm'}.{*}`, `${ours}.feedForwardResidual.norm.{*}`],
        ...byGroups(`${layer}.self_attention.query_key_value`, `${ours}.attention`, { heads, kvHeads, headDim }),
        ...linear(`${layer}.self_attention.dense`, `${ours}.attention.out`),
        ...linear(`${layer}.mlp.dense_h_to_4h`, `${ours}.feedForward.up`),
        ...linear(`${layer}.mlp.dense_4h_to_h`, `${ours}.feedForward.down`),
        [`${prefix}ln_f.{*}`, 'stack.norm.{*}'],
        ...head.rules,
      ],
      ties: head.ties,
    };
  },
  notes: (theirs) =>
    theirs.alibi
      ? [
          'ALiBi is added once, times 1/√headDim, its slopes rounded to bfloat16, as in the published code by default; its eager path adds it twice, and it rounds slope · position too.',
        ]
      : [],
});
