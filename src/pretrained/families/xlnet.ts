import { chain, joined, parted, reshaped, transposed, type WeightRule } from '../../nn/index.js';
import { RecurrentModel } from '../../models/index.js';
import { activationNames, activationOf } from '../activations.js';
import { defineFamily } from '../family.js';
import { count, only, real, word, yes } from '../fields.js';
import { integersOf } from '../inputs.js';
import { runModel } from '../run.js';
import { runSegments } from '../run-segments.js';

/** With a memory it reads segments; without one it is an encoder like others. Padding is taken without a memory alone. */
export const xlnet = defineFamily({
  modelType: 'xlnet',
  title: 'XLNet',
  paper: {
    authors: 'Yang et al.',
    title: 'XLNet: Generalized Autoregressive Pretraining for Language Understanding',
    year: 2019,
    arxiv: '1906.08237',
  },
  classes: {
    XLNetLMHeadModel: { task: 'fill-mask', mark: 'lm_loss.bias' },
    XLNetForSequenceClassification: { task: 'classify', mark: 'logits_proj.weight' },
    XLNetForTokenClassification: { task: 'classify-tokens', mark: 'classifier.weight' },
    XLNetForQuestionAnsweringSimple: { task: 'answer', mark: 'qa_outputs.weight' },
    XLNetModel: { task: 'base' },
  },
  prefix: 'transformer.',
  fields: {
    vocab_size: count(32000, 2),
    d_model: count(1024),
    n_layer: count(24),
    n_head: count(16),
    d_head: count(null as number | null),
    d_inner: count(4096),
    ff_activation: word(activationNames, 'gelu'),
    attn_type: word(['bi', 'uni'], 'bi'),
    layer_norm_eps: real(1e-12),
    max_position_embeddings: count(512),
    mem_len: count(null as number | null, 0),
    reuse_len: count(null as number | null, 0),
    use_mems_eval: yes(true),
    // training with memories is for the one who trains
    use_mems_train: yes(false),
    untie_r: only([true, false], 'it is a flag'),
    clamp_len: only([-1], 'distances to both sides that count alike from some on are not read here'),
    same_length: only([false], 'windows of the memory are not read here'),
    bi_data: only([false], 'two texts side by side in a batch are not read here'),
    summary_type: only(['last'], 'classes are read from the last token'),
    summary_use_proj: only([true], 'classes are read behind a layer'),
    summary_activation: only(['tanh'], 'the layer before classes has tanh'),
    start_n_top: count(5),
    end_n_top: count(5),
  },
  config: (theirs, cls) => {
    const { d_model: width, n_head: heads, mem_len: memory, reuse_len: reuse, n_layer: layers } = theirs;
    const classes = cls.labels;
    const remembers = theirs.use_mems_eval && memory !== null && memory > 0;
    const heading: Readonly<Record<string, object>> = {
      XLNetLMHeadModel: { prediction: { bias: true } },
      XLNetForSequenceClassification: { head: { classes, pool: 'last', dense: 'tanh' } },
      XLNetForTokenClassification: { head: { classes, pool: 'none' } },
      XLNetForQuestionAnsweringSimple: { head: { classes: 2, pool: 'none' } },
    };
    const own = heading[cls.name] ?? {};
    // a head reads a text by itself
    const segmented = remembers && !('head' in own);
    const oneWay = theirs.attn_type === 'uni';
    return {
      kind: segmented || oneWay ? (oneWay ? 'transformer-xl' : 'xlnet') : 'encoder',
      vocabulary: theirs.vocab_size,
      width,
      heads,
      headDim: theirs.d_head ?? width / heads,
      layers,
      length: theirs.max_position_embeddings,
      tied: theirs.tie_word_embeddings,
      position: { method: 'transformer-xl', components: width, segments: { types: 5 } },
      norm: { kind: 'layer', place: 'post', epsilon: theirs.layer_norm_eps },
      feedForward: { hidden: theirs.d_inner, activation: activationOf(theirs.ff_activation) },
      // without a memory it is projected alike, so that weights are where they are
      ...(segmented || oneWay
        ? { memory: { length: segmented ? memory : 0, ...(segmented && reuse && { reuse }) } }
        : {}),
      ...own,
    };
  },
  map: (theirs, { name, prefix }, { kind, headDim: d }) => {
    const { d_model: D, n_head: H, tie_word_embeddings: tied } = theirs;
    const [layer, to] = [`${prefix}layer.{i}`, 'stack.layers.{i}'];
    const heads = reshaped([D, H, d], [D, H * d]);
    const projections: readonly WeightRule[] =
      kind === 'encoder'
        ? [
            [
              ['q', 'k', 'v'].map((of) => `${layer}.rel_attn.${of}`),
              `${to}.attention.qkv.weight`,
              chain(heads, joined(1, [H * d, H * d, H * d])),
            ],
          ]
        : [
            [`${layer}.rel_attn.q`, `${to}.attention.query.weight`, heads],
            [
              ['k', 'v'].map((of) => `${layer}.rel_attn.${of}`),
              `${to}.attention.keyValue.weight`,
              chain(heads, joined(1, [H * d, H * d])),
            ],
          ];
    const linear = (from: string, ours: string): WeightRule[] => [
      [`${from}.weight`, `${ours}.weight`, transposed],
      [`${from}.bias`, `${ours}.bias`],
    ];
    const word = `${prefix}word_embedding.weight`;
    const heading: Readonly<Record<string, readonly WeightRule[]>> = {
      XLNetLMHeadModel: [
        ['lm_loss.bias', 'ends.bias'],
        ...(tied ? [] : [['lm_loss.weight', 'ends.head.weight', transposed] as const]),
      ],
      XLNetForSequenceClassification: [
        ...linear('sequence_summary.summary', 'dense.dense'),
        ...linear('logits_proj', 'head'),
      ],
      XLNetForTokenClassification: linear('classifier', 'head'),
      XLNetForQuestionAnsweringSimple: linear('qa_outputs', 'head'),
    };
    return {
      rules: [
        [word, 'ends.embedding.weight'],
        ...projections,
        [`${layer}.rel_attn.o`, `${to}.attention.out.weight`, chain(heads, transposed)],
        [`${layer}.rel_attn.r`, `${to}.attention.weight`, chain(heads, transposed)],
        [`${layer}.rel_attn.r_w_bias`, `${to}.attention.contentBias`],
        [`${layer}.rel_attn.r_r_bias`, `${to}.attention.positionBias`],
        [`${layer}.rel_attn.r_s_bias`, `${to}.attention.othersBias`],
        [
          `${layer}.rel_attn.seg_embed`,
          [`${to}.attention.others`, `${to}.attention.different`],
          chain(parted(0, [1, 1]), reshaped([1, H, d], [H, d])),
        ],
        [`${layer}.rel_attn.layer_norm.{*}`, `${to}.attentionResidual.norm.{*}`],
        ...linear(`${layer}.ff.layer_1`, `${to}.feedForward.up`),
        ...linear(`${layer}.ff.layer_2`, `${to}.feedForward.down`),
        [`${layer}.ff.layer_norm.{*}`, `${to}.feedForwardResidual.norm.{*}`],
        ...(heading[name] ?? []),
      ],
      // the row of a place that is asked for, which pretraining has
      unused: [`${prefix}mask_emb`],
      ...(name === 'XLNetLMHeadModel' && tied && { ties: { 'lm_loss.weight': word } }),
    };
  },
  inputs: { token_type_ids: (given, { device }) => ({ types: integersOf('token_type_ids', given, device) }) },
  run: (call) =>
    call.model instanceof RecurrentModel ? runSegments(call as never, call.model) : runModel(call as never),
  notes: () => [
    'Orders of factorisation (perm_mask, target_mapping), which pretraining has, are not here: each token sees all.',
  ],
});
