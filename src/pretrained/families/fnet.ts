import { activationNames } from '../activations.js';
import {
  bertConfig,
  bertFields,
  bertHeads,
  embeddingRules,
  encoderClasses,
  feedForwardRules,
  headConfig,
  headMap,
  joinedMap,
  norm,
} from '../bert-like.js';
import { defineFamily } from '../family.js';
import { count, only, word } from '../fields.js';
import { typesOf } from '../inputs.js';
import { linear } from '../projections.js';

const { num_attention_heads: _, ...fields } = bertFields;

/** The least number of heads that a width has where none is compared: there is no attention. */
function headsOf(width: number): number {
  let heads = Math.ceil(width / 256);
  while (width % heads !== 0) heads++;
  return heads;
}

/** Padding is mixed like all else, so the published code takes no attention mask, and neither does this. */
export const fnet = defineFamily({
  modelType: 'fnet',
  title: 'FNet',
  paper: {
    authors: 'Lee-Thorp et al.',
    title: 'FNet: Mixing Tokens with Fourier Transforms',
    year: 2021,
    arxiv: '2105.03824',
  },
  classes: {
    FNetForPreTraining: { task: 'fill-mask', mark: 'cls.seq_relationship.weight' },
    ...encoderClasses('FNet', { masked: 'cls.predictions.bias', sequence: 'classifier.weight' }),
  },
  prefix: 'fnet.',
  fields: {
    ...fields,
    vocab_size: count(32000, 2),
    hidden_act: word(activationNames, 'gelu_new'),
    type_vocab_size: count(4),
    num_attention_heads: count(1),
    use_tpu_fourier_optimizations: only(
      [false],
      'it transforms as many tokens as tpu_short_seq_length, whatever there are',
    ),
    tpu_short_seq_length: count(512),
  },
  config: (theirs, cls) => ({
    ...bertConfig({ ...theirs, num_attention_heads: headsOf(theirs.hidden_size) }),
    mixer: 'fnet',
    embedding: { width: theirs.hidden_size, norm: 'layer', types: theirs.type_vocab_size },
    ...headConfig(theirs, cls, { dense: 'tanh' }),
  }),
  map: (theirs, cls) => {
    const layer = `${cls.prefix}encoder.layer.{i}`;
    return joinedMap(
      [
        ...embeddingRules(`${cls.prefix}embeddings`),
        ...linear(`${cls.prefix}embeddings.projection`, 'ends.entry.projection'),
        ...norm(`${layer}.fourier.output.LayerNorm`, 'stack.layers.{i}.attentionResidual.norm'),
        ...feedForwardRules(layer),
      ],
      headMap(theirs, cls, bertHeads(cls)),
    );
  },
  inputs: { token_type_ids: typesOf },
});
