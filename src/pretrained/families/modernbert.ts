import { chain, parted, transposed, type WeightRule } from '../../nn/index.js';
import { activationNames, activationOf } from '../activations.js';
import { encoderClasses, joinedMap } from '../bert-like.js';
import { defineFamily, type PublishedClass, type PublishedMap } from '../family.js';
import { count, real, word, yes, type Theirs } from '../fields.js';
import { linear } from '../projections.js';

const fields = {
  vocab_size: count(50368, 2),
  hidden_size: count(768),
  intermediate_size: count(1152),
  num_hidden_layers: count(22),
  num_attention_heads: count(12),
  hidden_activation: word(activationNames, 'gelu'),
  max_position_embeddings: count(8192),
  norm_eps: real(1e-5),
  norm_bias: yes(false),
  attention_bias: yes(false),
  mlp_bias: yes(false),
  global_rope_theta: real(160000),
  local_rope_theta: real(10000),
  global_attn_every_n_layers: count(3),
  local_attention: count(128),
  classifier_pooling: word(['cls', 'mean'], 'cls'),
  classifier_bias: yes(false),
  classifier_activation: word(activationNames, 'gelu'),
  decoder_bias: yes(true),
  // these change nothing: it computes by them nowhere, or by which code it computes
  position_embedding_type: word(['absolute'], 'absolute'),
  layer_norm_eps: real(1e-5),
  type_vocab_size: count(2),
  hidden_act: word(activationNames, 'gelu'),
  sparse_prediction: yes(false),
  deterministic_flash_attn: yes(false),
  reference_compile: yes(false),
} as const;
type ModernTheirs = Theirs<typeof fields>;

/** Every so many layers, from the first on, see all; the others a window, by other angles. The first has no norm before its attention. */
function layersOf(theirs: ModernTheirs): readonly object[] {
  return Array.from({ length: theirs.num_hidden_layers }, (_, i) => ({
    ...(i % theirs.global_attn_every_n_layers === 0
      ? { mechanism: 'flash', position: { method: 'rope', base: theirs.global_rope_theta } }
      : {
          mechanism: { name: 'sliding-window', options: { radius: Math.floor(theirs.local_attention / 2) } },
          position: { method: 'rope', base: theirs.local_rope_theta },
        }),
    ...(i === 0 && { norm: { mixing: false } }),
  }));
}

function headOf(theirs: ModernTheirs, { task, labels }: PublishedClass): object {
  const activation = activationOf(theirs.classifier_activation);
  const dense = { dense: activation, denseBias: theirs.classifier_bias, norm: true };
  switch (task) {
    case 'fill-mask':
      return {
        tied: theirs.tie_word_embeddings,
        prediction: { transform: activation, transformBias: theirs.classifier_bias, bias: theirs.decoder_bias },
      };
    case 'classify':
      return { head: { classes: labels, pool: theirs.classifier_pooling === 'cls' ? 'first' : 'mean', ...dense } };
    case 'classify-tokens':
      return { head: { classes: labels, pool: 'none', ...dense } };
    case 'answer':
      return { head: { classes: 2, pool: 'none', ...dense } };
    case 'base':
    case 'generate':
    case 'summarise':
      return {};
  }
}

function headRules(theirs: ModernTheirs, { task, prefix }: PublishedClass): PublishedMap {
  const dense = (ours: string): readonly WeightRule[] => [
    ...linear('head.dense', `${ours}.dense`),
    ['head.norm.{*}', `${ours}.norm.{*}`],
  ];
  const table = `${prefix}embeddings.tok_embeddings.weight`;
  switch (task) {
    case 'fill-mask':
      return {
        rules: [
          ...dense('ends.transform'),
          ['decoder.bias', 'ends.bias'],
          ...(theirs.tie_word_embeddings ? [] : [['decoder.weight', 'ends.head.weight', transposed] as const]),
        ],
        ...(theirs.tie_word_embeddings && { ties: { 'decoder.weight': table } }),
      };
    case 'classify':
    case 'classify-tokens':
      return { rules: [...dense('dense'), ...linear('classifier', 'head')], unused: ['decoder.{*}'] };
    case 'answer':
      return {
        rules: [...dense('dense'), ...linear('classifier', 'head'), ...linear('qa_outputs', 'head')],
        unused: ['decoder.{*}'],
      };
    case 'base':
    case 'generate':
    case 'summarise':
      return { rules: [], unused: ['head.{*}', 'decoder.{*}'] };
  }
}

export const modernbert = defineFamily({
  modelType: 'modernbert',
  title: 'ModernBERT',
  paper: {
    authors: 'Warner et al.',
    title: 'Smarter, Better, Faster, Longer: A Modern Bidirectional Encoder',
    year: 2024,
    arxiv: '2412.13663',
  },
  classes: encoderClasses('ModernBert', { masked: 'decoder.bias', sequence: 'classifier.weight' }),
  prefix: 'model.',
  fields,
  config: (theirs, cls) => ({
    kind: 'encoder',
    width: theirs.hidden_size,
    heads: theirs.num_attention_heads,
    layers: layersOf(theirs),
    length: theirs.max_position_embeddings,
    vocabulary: theirs.vocab_size,
    bias: theirs.attention_bias,
    embedding: { norm: 'layer' },
    feedForward: {
      hidden: theirs.intermediate_size,
      activation: activationOf(theirs.hidden_activation),
      gated: true,
      bias: theirs.mlp_bias,
    },
    norm: { kind: 'layer', place: 'pre', epsilon: theirs.norm_eps, bias: theirs.norm_bias },
    ...headOf(theirs, cls),
  }),
  map: (theirs, cls) => {
    const [layer, ours] = [`${cls.prefix}layers.{i}`, 'stack.layers.{i}'];
    const halves = [theirs.intermediate_size, theirs.intermediate_size];
    const gated = [`${ours}.feedForward.gate`, `${ours}.feedForward.up`];
    const rules: readonly WeightRule[] = [
      [`${cls.prefix}embeddings.tok_embeddings.weight`, 'ends.embedding.weight'],
      [`${cls.prefix}embeddings.norm.{*}`, 'ends.entry.norm.{*}'],
      [`${layer}.attn_norm.{*}`, `${ours}.attentionResidual.norm.{*}`],
      ...linear(`${layer}.attn.Wqkv`, `${ours}.attention.qkv`),
      ...linear(`${layer}.attn.Wo`, `${ours}.attention.out`),
      [`${layer}.mlp_norm.{*}`, `${ours}.feedForwardResidual.norm.{*}`],
      [`${layer}.mlp.Wi.weight`, gated.map((one) => `${one}.weight`), chain(transposed, parted(1, halves))],
      [`${layer}.mlp.Wi.bias`, gated.map((one) => `${one}.bias`), parted(0, halves)],
      ...linear(`${layer}.mlp.Wo`, `${ours}.feedForward.down`),
      [`${cls.prefix}final_norm.{*}`, 'stack.norm.{*}'],
    ];
    return joinedMap(rules, headRules(theirs, cls));
  },
  // the published code of 4.x gives the stream, that of 5.x the rows after the norm
  lastHidden: 'stream',
});
