import { bartConfig, bartFields, bartMap, finalNorms } from '../bart-like.js';
import { defineFamily } from '../family.js';
import { count, yes } from '../fields.js';
import { layersAs } from '../windows.js';

/** Blocks in the encoder, moved by half a block in every second layer, beside global tokens that are no tokens of the text; a decoder that sees all. */
export const pegasusX = defineFamily({
  modelType: 'pegasus_x',
  title: 'PEGASUS-X',
  paper: {
    authors: 'Phang, Zhao, Liu',
    title: 'Investigating Efficiently Extending Transformers for Long Input Summarization',
    year: 2022,
    arxiv: '2208.04347',
  },
  classes: {
    PegasusXForConditionalGeneration: { task: 'summarise', mark: 'lm_head.weight' },
    PegasusXModel: { task: 'base' },
  },
  prefix: 'model.',
  fields: {
    ...bartFields,
    vocab_size: count(96103, 2),
    encoder_layers: count(16),
    decoder_layers: count(16),
    max_position_embeddings: count(16384),
    scale_embedding: yes(true),
    num_global_tokens: count(32),
    block_size: count(512),
    stagger_local_blocks: yes(true),
  },
  config: (theirs, cls) => {
    const { block_size: blockSize, num_global_tokens: numGlobals } = theirs;
    const shiftOf = (i: number): number => (theirs.stagger_local_blocks && i % 2 === 1 ? Math.floor(blockSize / 2) : 0);
    const layers = Array.from({ length: theirs.encoder_layers }, (_, i) => ({
      mechanism: { name: 'staggered-blocks', options: { blockSize, numGlobals, shift: shiftOf(i) } },
    }));
    const usual = bartConfig(theirs, cls, {
      place: 'pre',
      embedded: false,
      biased: false,
      encoder: layersAs(layers),
    }) as { readonly embedding: object; readonly norm: object };
    return {
      ...usual,
      bias: false,
      embedding: { ...usual.embedding, prefix: numGlobals },
      norm: { ...usual.norm, prefix: true },
      position: { method: 'sinusoidal', variant: 'tensor2tensor' },
    };
  },
  map: (theirs, cls) => {
    const { rules, ...rest } = bartMap(theirs, cls, {
      norms: finalNorms(cls.prefix, 'layer_norm'),
      positions: false,
      biased: false,
    });
    const encoder = `${cls.prefix}encoder`;
    return {
      ...rest,
      rules: [
        [`${encoder}.embed_global.weight`, 'encoder.prefix'],
        [
          `${encoder}.layers.{i}.global_self_attn_layer_norm.{*}`,
          'encoder.layers.{i}.attentionResidual.prefixNorm.{*}',
        ],
        ...rules,
      ],
    };
  },
});
