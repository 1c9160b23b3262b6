import { activationNames, activationOf } from '../activations.js';
import { encoderClasses, headConfig, headMap, joinedMap, norm } from '../bert-like.js';
import { defineFamily } from '../family.js';
import { count, word, yes, type Theirs } from '../fields.js';
import { apart, linear } from '../projections.js';

const fields = {
  vocab_size: count(30522, 2),
  dim: count(768),
  n_layers: count(6),
  n_heads: count(12),
  hidden_dim: count(3072),
  activation: word(activationNames, 'gelu'),
  max_position_embeddings: count(512),
  // the table of sines is stored like any other
  sinusoidal_pos_embds: yes(false),
  tie_weights_: yes(true),
} as const;

/** The names that BERT's heads read of a configuration. */
const asBert = (theirs: Theirs<typeof fields>) => ({
  ...theirs,
  hidden_size: theirs.dim,
  num_hidden_layers: theirs.n_layers,
  num_attention_heads: theirs.n_heads,
  intermediate_size: theirs.hidden_dim,
  hidden_act: theirs.activation,
  type_vocab_size: 1,
  layer_norm_eps: 1e-12,
  position_embedding_type: 'absolute' as const,
});

export const distilbert = defineFamily({
  modelType: 'distilbert',
  title: 'DistilBERT',
  paper: {
    authors: 'Sanh et al.',
    title: 'DistilBERT, a distilled version of BERT: smaller, faster, cheaper and lighter',
    year: 2019,
    arxiv: '1910.01108',
  },
  classes: encoderClasses('DistilBert', { masked: 'vocab_projector.bias', sequence: 'pre_classifier.weight' }),
  prefix: 'distilbert.',
  fields,
  config: (theirs, cls) => ({
    kind: 'encoder',
    width: theirs.dim,
    heads: theirs.n_heads,
    layers: theirs.n_layers,
    length: theirs.max_position_embeddings,
    vocabulary: theirs.vocab_size,
    bias: true,
    position: 'learned',
    embedding: { norm: 'layer' },
    feedForward: { hidden: theirs.hidden_dim, activation: activationOf(theirs.activation) },
    norm: { kind: 'layer', place: 'post', epsilon: 1e-12 },
    ...headConfig(asBert(theirs), cls, { dense: 'relu', pooler: false }),
  }),
  map: (theirs, cls) => {
    const { prefix } = cls;
    const [layer, ours] = [`${prefix}transformer.layer.{i}`, 'stack.layers.{i}'];
    const sizes = { heads: theirs.n_heads, kvHeads: theirs.n_heads, headDim: theirs.dim / theirs.n_heads };
    return joinedMap(
      [
        [`${prefix}embeddings.word_embeddings.weight`, 'ends.embedding.weight'],
        [`${prefix}embeddings.position_embeddings.weight`, 'stack.positions.table'],
        ...norm(`${prefix}embeddings.LayerNorm`, 'ends.entry.norm'),
        ...apart(`${layer}.attention`, `${ours}.attention`, sizes, ['q_lin', 'k_lin', 'v_lin']),
        ...linear(`${layer}.attention.out_lin`, `${ours}.attention.out`),
        ...norm(`${layer}.sa_layer_norm`, `${ours}.attentionResidual.norm`),
        ...linear(`${layer}.ffn.lin1`, `${ours}.feedForward.up`),
        ...linear(`${layer}.ffn.lin2`, `${ours}.feedForward.down`),
        ...norm(`${layer}.output_layer_norm`, `${ours}.feedForwardResidual.norm`),
      ],
      headMap(asBert(theirs), cls, {
        transform: 'vocab_transform',
        transformNorm: 'vocab_layer_norm',
        bias: 'vocab_projector.bias',
        decoder: 'vocab_projector',
        masked: ['vocab_transform.{*}', 'vocab_layer_norm.{*}', 'vocab_projector.{*}'],
        dense: 'pre_classifier',
        classes: 'classifier',
      }),
    );
  },
});
