import { activationNames, activationOf } from '../activations.js';
import { classesOf, headOf, headRules } from '../decoder-heads.js';
import { defineFamily } from '../family.js';
import { count, real, word, yes } from '../fields.js';
import { layersAs } from '../windows.js';

const { GPT2ForCausalLM: language, ...others } = classesOf('GPT2', { tokens: 'classifier' });

/** Its linear layers (`Conv1D`) keep weights as `[in, out]`, as ours do. */
export const gpt2 = defineFamily({
  modelType: 'gpt2',
  title: 'GPT-2',
  paper: {
    authors: 'Radford et al.',
    title: 'Language Models are Unsupervised Multitask Learners',
    year: 2019,
  },
  classes: { GPT2LMHeadModel: language!, ...others },
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
    scale_attn_weights: yes(true),
    scale_attn_by_inverse_layer_idx: yes(false),
  },
  config: (theirs, cls) => ({
    width: theirs.n_embd,
    heads: theirs.n_head,
    ...scaled(theirs),
    length: theirs.n_positions,
    vocabulary: theirs.vocab_size,
    bias: true,
    ...headOf(theirs, cls),
    position: 'learned',
    feedForward: {
      hidden: theirs.n_inner ?? 4 * theirs.n_embd,
      activation: activationOf(theirs.activation_function),
    },
    norm: { kind: 'layer', epsilon: theirs.layer_norm_epsilon },
  }),
  map: (theirs, cls) => {
    const { prefix } = cls;
    const head = headRules(theirs, cls, { table: `${prefix}wte.weight`, tokens: 'classifier' });
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
        ...head.rules,
      ],
      ties: head.ties,
      // masks of older files
      ignored: [`${layer}.attn.bias`, `${layer}.attn.masked_bias`],
    };
  },
});

interface Scales {
  readonly n_embd: number;
  readonly n_head: number;
  readonly n_layer: number;
  readonly scale_attn_weights: boolean;
  readonly scale_attn_by_inverse_layer_idx: boolean;
}

/** Scores are divided by √D, by the number of the layer from 1 on, by both or by neither. */
function scaled({
  n_embd,
  n_head,
  n_layer,
  scale_attn_weights: root,
  scale_attn_by_inverse_layer_idx: each,
}: Scales): object {
  if (root && !each) return { layers: n_layer };
  const scale = root ? Math.sqrt(n_head / n_embd) : 1;
  return layersAs(
    Array.from({ length: n_layer }, (_, i) => ({ attention: { scale: each ? scale / (i + 1) : scale } })),
  );
}
