import { transposed } from '../../nn/index.js';
import { activationNames, activationOf } from '../activations.js';
import { defineFamily } from '../family.js';
import { count, only, real, word } from '../fields.js';

/** Its linear layers (`Conv1D`) keep weights as `[in, out]`, as ours do. */
export const gpt2 = defineFamily({
  modelType: 'gpt2',
  title: 'GPT-2',
  paper: {
    authors: 'Radford et al.',
    title: 'Language Models are Unsupervised Multitask Learners',
    year: 2019,
  },
  classes: {
    GPT2LMHeadModel: { task: 'generate', mark: 'lm_head.weight' },
    GPT2Model: { task: 'base' },
  },
  prefix: 'transformer.',
  fields: {
    vocab_size: count(50257, 2),
    n_positions: count(1024),
    n_embd: count(768),
    n_layer: count(12),
    n_head: count(12),
    n_inner: count(null as number | null),
    activation_function: word(activationNames, 'gelu_new'),
    layer_norm_epsilon: real(1e-5),
    scale_attn_weights: only([true], 'scores without a scale are not read here'),
    scale_attn_by_inverse_layer_idx: only([false], 'a scale for each layer is not read here'),
  },
  config: (theirs) => ({
    width: theirs.n_embd,
    heads: theirs.n_head,
    layers: theirs.n_layer,
    length: theirs.n_positions,
    vocabulary: theirs.vocab_size,
    bias: true,
    tied: theirs.tie_word_embeddings,
    position: 'learned',
    feedForward: {
      hidden: theirs.n_inner ?? 4 * theirs.n_embd,
      activation: activationOf(theirs.activation_function),
    },
    norm: { kind: 'layer', epsilon: theirs.layer_norm_epsilon },
  }),
  map: (theirs, { prefix }) => {
    const layer = `${prefix}h.{i}`;
    return {
      rules: [
        [`${prefix}wte.weight`, 'ends.embedding.weight'],
        [`${prefix}wpe.weight`, 'stack.positions.table'],
        [`${layer}.ln_1.{*}`, 'stack.layers.{i}.attentionResidual.norm.{*}'],
        [`${layer}.attn.c_attn.{*}`, 'stack.layers.{i}.attention.qkv.{*}'],
        [`${layer}.attn.c_proj.{*}`, 'stack.layers.{i}.attention.out.{*}'],
        [`${layer}.ln_2.{*}`, 'stack.layers.{i}.feedForwardResidual.norm.{*}'],
        [`${layer}.mlp.c_fc.{*}`, 'stack.layers.{i}.feedForward.up.{*}'],
        [`${layer}.mlp.c_proj.{*}`, 'stack.layers.{i}.feedForward.down.{*}'],
        [`${prefix}ln_f.{*}`, 'stack.norm.{*}'],
        ...(theirs.tie_word_embeddings ? [] : [['lm_head.weight', 'ends.head.weight', transposed] as const]),
      ],
      ...(theirs.tie_word_embeddings && { ties: { 'lm_head.weight': `${prefix}wte.weight` } }),
      // masks of older files
      ignored: [`${layer}.attn.bias`, `${layer}.attn.masked_bias`],
    };
  },
});
