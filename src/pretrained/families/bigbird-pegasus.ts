import { bartClasses, bartConfig, bartFields, bartMap, finalNorms, type BartTheirs } from '../bart-like.js';
import { defineFamily } from '../family.js';
import { activationNames } from '../activations.js';
import { count, word, yes } from '../fields.js';
import { apart, linear } from '../projections.js';
import { blockFields, blockSparse } from './big-bird.js';

/** BigBird's blocks in the encoder, as its published code computes them outside of training; a decoder that sees all. */
export const bigBirdPegasus = defineFamily({
  modelType: 'bigbird_pegasus',
  title: 'BigBird-Pegasus',
  paper: {
    authors: 'Zaheer et al.',
    title: 'Big Bird: Transformers for Longer Sequences',
    year: 2020,
    arxiv: '2007.14062',
  },
  classes: bartClasses('BigBirdPegasus'),
  prefix: 'model.',
  fields: {
    ...bartFields,
    ...blockFields,
    vocab_size: count(96103, 2),
    encoder_layers: count(16),
    decoder_layers: count(16),
    activation_function: word(activationNames, 'gelu_new'),
    max_position_embeddings: count(4096),
    scale_embedding: yes(true),
    use_bias: yes(false),
  },
  config: (theirs, cls) => ({
    ...bartConfig(theirs as unknown as BartTheirs, cls, {
      place: 'pre',
      embedded: false,
      encoder: blockSparse(theirs),
    }),
    bias: theirs.use_bias,
  }),
  map: (theirs, cls) => {
    const { encoder_attention_heads: heads, d_model: width } = theirs;
    const sizes = { heads, kvHeads: heads, headDim: width / heads };
    return bartMap(theirs, cls, {
      // what its name says stands behind the embeddings stands behind the layers
      norms: finalNorms(cls.prefix, 'layernorm_embedding'),
      encoderAttention: (layer, ours) => [
        ...apart(`${layer}.self_attn.self`, ours, sizes, ['query', 'key', 'value']),
        ...linear(`${layer}.self_attn.output`, `${ours}.out`),
      ],
    });
  },
});
