import { activationNames } from '../activations.js';
import {
  bertConfig,
  bertFields,
  embeddingRules,
  encoderClasses,
  headConfig,
  headMap,
  joinedMap,
  norm,
} from '../bert-like.js';
import { defineFamily } from '../family.js';
import { count, only, word } from '../fields.js';
import { typesOf } from '../inputs.js';
import { apart, linear } from '../projections.js';

/** The group of layers that layer i has its weights of. */
const groupOf = (i: number, { layers, groups }: { readonly layers: number; readonly groups: number }): number =>
  Math.floor(i / (layers / groups));

/** For each layer the first one of its group. */
function firstOfGroups(layers: number, groups: number): readonly number[] {
  const all = Array.from({ length: layers }, (_, i) => groupOf(i, { layers, groups }));
  return all.map((group) => all.indexOf(group));
}

/** Tables of words, positions and types are narrow, and layers share weights. */
export const albert = defineFamily({
  modelType: 'albert',
  title: 'ALBERT',
  paper: {
    authors: 'Lan et al.',
    title: 'ALBERT: A Lite BERT for Self-supervised Learning of Language Representations',
    year: 2019,
    arxiv: '1909.11942',
  },
  classes: {
    AlbertForPreTraining: { task: 'fill-mask', mark: 'sop_classifier.classifier.weight' },
    ...encoderClasses('Albert', { masked: 'predictions.bias', sequence: 'classifier.weight' }),
  },
  prefix: 'albert.',
  fields: {
    ...bertFields,
    vocab_size: count(30000, 2),
    embedding_size: count(128),
    hidden_size: count(4096),
    num_attention_heads: count(64),
    intermediate_size: count(16384),
    hidden_act: word(activationNames, 'gelu_new'),
    num_hidden_groups: count(1),
    inner_group_num: only([1], 'groups of several layers are not read here'),
    // of code that computes by them nowhere
    down_scale_factor: count(1, 0),
    gap_size: count(0, 0),
    net_structure_type: count(0, 0),
    num_memory_blocks: count(0, 0),
  },
  config: (theirs, cls) => ({
    ...bertConfig(theirs),
    layers: firstOfGroups(theirs.num_hidden_layers, theirs.num_hidden_groups).map((first, i) =>
      first === i ? {} : { as: first },
    ),
    embedding: { width: theirs.embedding_size, norm: 'layer', types: theirs.type_vocab_size },
    ...headConfig(theirs, cls, { dense: 'tanh' }),
  }),
  map: (theirs, cls) => {
    const { prefix } = cls;
    const heads = theirs.num_attention_heads;
    const sizes = { heads, kvHeads: heads, headDim: theirs.hidden_size / heads };
    const firsts = [...new Set(firstOfGroups(theirs.num_hidden_layers, theirs.num_hidden_groups))];
    const layers = firsts.flatMap((first, group) => {
      const layer = `${prefix}encoder.albert_layer_groups.${group}.albert_layers.0`;
      const ours = `stack.layers.${first}`;
      return [
        ...apart(`${layer}.attention`, `${ours}.attention`, sizes, ['query', 'key', 'value']),
        ...linear(`${layer}.attention.dense`, `${ours}.attention.out`),
        ...norm(`${layer}.attention.LayerNorm`, `${ours}.attentionResidual.norm`),
        ...linear(`${layer}.ffn`, `${ours}.feedForward.up`),
        ...linear(`${layer}.ffn_output`, `${ours}.feedForward.down`),
        ...norm(`${layer}.full_layer_layer_norm`, `${ours}.feedForwardResidual.norm`),
      ];
    });
    return joinedMap(
      [
        ...embeddingRules(`${prefix}embeddings`),
        ...linear(`${prefix}encoder.embedding_hidden_mapping_in`, 'ends.entry.projection'),
        ...layers,
      ],
      headMap(theirs, cls, {
        transform: 'predictions.dense',
        transformNorm: 'predictions.LayerNorm',
        bias: 'predictions.bias',
        decoder: 'predictions.decoder',
        masked: ['predictions.{*}', 'sop_classifier.{*}'],
        beside: ['sop_classifier.{*}'],
        pooler: `${prefix}pooler`,
        dense: `${prefix}pooler`,
        classes: 'classifier',
      }),
    );
  },
  inputs: { token_type_ids: typesOf },
});
