import { bartClasses, bartConfig, bartFields, bartMap, embeddedNorms, type BartTheirs } from '../bart-like.js';
import { defineFamily } from '../family.js';
import { count } from '../fields.js';
import { globalsOf } from '../inputs.js';
import { apart, linear } from '../projections.js';
import { globalRules, windowedLayers, windowsField } from './longformer.js';

/** Longformer's windows and global tokens in the encoder; a decoder that sees all. */
export const led = defineFamily({
  modelType: 'led',
  title: 'LED',
  paper: {
    authors: 'Beltagy, Peters, Cohan',
    title: 'Longformer: The Long-Document Transformer',
    year: 2020,
    arxiv: '2004.05150',
  },
  classes: bartClasses('LED'),
  prefix: 'led.',
  fields: {
    ...bartFields,
    attention_window: windowsField,
    max_encoder_position_embeddings: count(16384),
    max_decoder_position_embeddings: count(1024),
  },
  config: (theirs, cls) => ({
    ...bartConfig(theirs as unknown as BartTheirs, cls, {
      place: 'post',
      embedded: true,
      encoder: windowedLayers(theirs.attention_window, theirs.encoder_layers),
      decoder: { length: theirs.max_decoder_position_embeddings },
    }),
    length: theirs.max_encoder_position_embeddings,
  }),
  map: (theirs, cls) => {
    const { encoder_attention_heads: heads, d_model: width } = theirs;
    const sizes = { heads, kvHeads: heads, headDim: width / heads };
    return bartMap(theirs, cls, {
      norms: embeddedNorms(cls.prefix),
      encoderAttention: (layer, ours) => [
        ...apart(`${layer}.self_attn.longformer_self_attn`, ours, sizes, ['query', 'key', 'value']),
        ...globalRules(`${layer}.self_attn.longformer_self_attn`, ours),
        ...linear(`${layer}.self_attn.output`, `${ours}.out`),
      ],
    });
  },
  inputs: { global_attention_mask: globalsOf },
});
