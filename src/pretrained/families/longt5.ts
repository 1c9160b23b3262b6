import { count, word } from '../fields.js';
import { encoderAlone, t5Like } from '../t5-like.js';

/** T5 whose encoder sees a radius, and with transient globals the sums of all blocks too. */
export const longT5 = t5Like({
  modelType: 'longt5',
  title: 'LongT5',
  paper: {
    authors: 'Guo et al.',
    title: 'LongT5: Efficient Text-To-Text Transformer for Long Sequences',
    year: 2021,
    arxiv: '2112.07916',
  },
  stem: 'LongT5',
  fields: {
    encoder_attention_type: word(['local', 'transient-global'], 'local'),
    local_radius: count(127),
    global_block_size: count(16),
  },
  config: (theirs, cls) => ({
    mechanism: { name: 'sliding-window', options: { radius: theirs.local_radius } },
    ...(theirs.encoder_attention_type === 'transient-global' && {
      attention: { scale: 1, globals: theirs.global_block_size },
    }),
    ...(!encoderAlone(cls) && {
      decoder: {
        layers: theirs.num_decoder_layers ?? theirs.num_layers,
        mechanism: 'flash',
        attention: { scale: 1, globals: 0 },
      },
    }),
  }),
  names: (theirs, cls) => {
    if (theirs.encoder_attention_type === 'local') return { encoderAttention: 'LocalSelfAttention' };
    const name = 'TransientGlobalSelfAttention';
    const ours = encoderAlone(cls) ? 'stack' : 'encoder';
    return {
      encoderAttention: name,
      more: [
        [`encoder.block.0.layer.0.${name}.global_relative_attention_bias.weight`, `${ours}.otherPositions.0.table`],
        [
          `encoder.block.{i}.layer.0.${name}.global_input_layer_norm.weight`,
          `${ours}.layers.{i}.attention.globals.norm.weight`,
        ],
      ],
    };
  },
});
