import { defineFamily } from '../family.js';
import { count, only, real } from '../fields.js';
import { ours } from '../llama-like.js';
import { classesOf, headOf, headRules } from '../decoder-heads.js';
import { byGroups, linear } from '../projections.js';

/** ALiBi for any number of heads, and a norm behind the embeddings. */
export const bloom = defineFamily({
  modelType: 'bloom',
  title: 'BLOOM',
  paper: {
    authors: 'BigScience Workshop',
    title: 'BLOOM: A 176B-Parameter Open-Access Multilingual Language Model',
    year: 2022,
    arxiv: '2211.05100',
  },
  classes: classesOf('Bloom', { tokens: 'classifier' }),
  prefix: 'transformer.',
  fields: {
    vocab_size: count(250880, 2),
    hidden_size: count(64),
    n_layer: count(2),
    n_head: count(8),
    seq_length: count(2048),
    layer_norm_epsilon: real(1e-5),
    apply_residual_connection_post_layernorm: only([false], 'the stream is added as it is, not normalised'),
  },
  config: (theirs, cls) => ({
    vocabulary: theirs.vocab_size,
    length: theirs.seq_length,
    layers: theirs.n_layer,
    width: theirs.hidden_size,
    heads: theirs.n_head,
    bias: true,
    ...headOf(theirs, cls),
    position: 'alibi',
    embedding: { norm: 'layer' },
    feedForward: { hidden: 4 * theirs.hidden_size, activation: 'gelu-tanh' },
    norm: { kind: 'layer', epsilon: theirs.layer_norm_epsilon },
  }),
  map: (theirs, cls, { heads, kvHeads, headDim }) => {
    const { prefix } = cls;
    const layer = `${prefix}h.{i}`;
    const head = headRules(theirs, cls, { table: `${prefix}word_embeddings.weight`, tokens: 'classifier' });
    return {
      rules: [
        [`${prefix}word_embeddings.weight`, 'ends.embedding.weight'],
        [`${prefix}word_embeddings_layernorm.{*}`, 'ends.entry.norm.{*}'],
        [`${layer}.input_layernorm.{*}`, `${ours}.attentionResidual.norm.{*}`],
        ...byGroups(`${layer}.self_attention.query_key_value`, `${ours}.attention`, { heads, kvHeads, headDim }),
        ...linear(`${layer}.self_attention.dense`, `${ours}.attention.out`),
        [`${layer}.post_attention_layernorm.{*}`, `${ours}.feedForwardResidual.norm.{*}`],
        ...linear(`${layer}.mlp.dense_h_to_4h`, `${ours}.feedForward.up`),
        ...linear(`${layer}.mlp.dense_4h_to_h`, `${ours}.feedForward.down`),
        [`${prefix}ln_f.{*}`, 'stack.norm.{*}'],
        ...head.rules,
      ],
      ties: head.ties,
    };
  },
});
