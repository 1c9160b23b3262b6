import { chain, joined, parted, reshaped, transposed, type WeightRule } from '../../nn/index.js';
import { activationNames, activationOf } from '../activations.js';
import { defineFamily, type PublishedClass } from '../family.js';
import { listOf, wholeFrom } from '../../core/requirements.js';
import { OptionError } from '../../core/errors.js';
import { count, counts, field, only, real, word, yes } from '../fields.js';
import { integersOf } from '../inputs.js';

/** Classes that read the shortened rows; all others have a decoder behind them. */
const withoutDecoder = new Set(['FunnelForSequenceClassification', 'FunnelBaseModel']);
const decodes = ({ name }: PublishedClass): boolean => !withoutDecoder.has(name);

interface Sizes {
  readonly block_sizes: readonly number[];
  readonly block_repeats: readonly number[];
  readonly num_decoder_layers: number;
}

/** Their names of the layers, in our order; one that is passed several times has a name for each. @throws OptionError for other repeats. */
function layersOf(theirs: Sizes, cls: PublishedClass): string[] {
  const { block_sizes: sizes, block_repeats: given } = theirs;
  const repeats = given.length === 0 ? sizes.map(() => 1) : given;
  if (repeats.length !== sizes.length) {
    throw new OptionError(
      `config.json of Funnel: block_repeats must be as many as block_sizes, ${sizes.length}; got ${repeats.length}.`,
    );
  }
  const blocks = sizes.flatMap((layers, block) =>
    Array.from({ length: layers }, (_, layer) => `encoder.blocks.${block}.${layer}`).flatMap((name) =>
      new Array<string>(repeats[block]!).fill(name),
    ),
  );
  const decoder = decodes(cls)
    ? Array.from({ length: theirs.num_decoder_layers }, (_, i) => `decoder.layers.${i}`)
    : [];
  return [...blocks, ...decoder];
}

/** Token types are compared in the scores; type 2 is that of the class token. */
export const funnel = defineFamily({
  modelType: 'funnel',
  title: 'Funnel Transformer',
  paper: {
    authors: 'Dai et al.',
    title: 'Funnel-Transformer: Filtering out Sequential Redundancy for Efficient Language Processing',
    year: 2020,
    arxiv: '2006.03236',
  },
  classes: {
    FunnelForMaskedLM: { task: 'fill-mask', mark: 'lm_head.bias' },
    // what tells replaced tokens from true ones is left out
    FunnelForPreTraining: { task: 'base', mark: 'discriminator_predictions.dense.weight' },
    FunnelForQuestionAnswering: { task: 'answer', mark: 'qa_outputs.weight' },
    FunnelForSequenceClassification: { task: 'classify', mark: 'classifier.linear_hidden.weight' },
    FunnelForTokenClassification: { task: 'classify-tokens', mark: 'classifier.weight' },
    FunnelModel: { task: 'base', mark: 'decoder.layers.{i}.attention.q_head.weight' },
    FunnelBaseModel: { task: 'base' },
  },
  prefix: 'funnel.',
  fields: {
    vocab_size: count(30522, 2),
    block_sizes: counts([4, 4, 4]),
    block_repeats: field<readonly number[]>(listOf('whole numbers from 1 on', wholeFrom(1)), []),
    num_decoder_layers: count(2, 0),
    d_model: count(768),
    n_head: count(12),
    d_head: count(64),
    d_inner: count(3072),
    hidden_act: word(activationNames, 'gelu_new'),
    max_position_embeddings: count(512),
    type_vocab_size: only([3], 'types are those of two segments and of the class token'),
    layer_norm_eps: real(1e-9),
    pooling_type: word(['mean', 'max'], 'mean'),
    // both give the same numbers
    attention_type: word(['relative_shift', 'factorized'], 'relative_shift'),
    separate_cls: yes(true),
    truncate_seq: yes(true),
    pool_q_only: yes(true),
  },
  config: (theirs, cls) => {
    const { separate_cls: separateClass, truncate_seq: truncate } = theirs;
    const whole = separateClass && truncate;
    const pooling = {
      kind: theirs.pooling_type,
      separateClass,
      truncate,
      ...(whole && { asPublished: true }),
      ...(!theirs.pool_q_only && { keys: true }),
    };
    const names = layersOf(theirs, cls);
    const layers = names.map((name, i): object => {
      if (names.indexOf(name) < i) return { as: names.indexOf(name) };
      if (name === 'decoder.layers.0') return { pooling: 'restore' };
      return /^encoder\.blocks\.[1-9]\d*\.0$/.test(name) ? { pooling } : {};
    });
    const classes = theirs.id2label && Object.keys(theirs.id2label).length;
    const activation = activationOf(theirs.hidden_act);
    const heads: Readonly<Record<string, object>> = {
      FunnelForMaskedLM: { prediction: { bias: true } },
      FunnelForQuestionAnswering: { head: { classes: 2, pool: 'none' } },
      FunnelForSequenceClassification: { head: { classes, pool: 'first', dense: 'tanh' } },
      FunnelForTokenClassification: { head: { classes, pool: 'none' } },
    };
    return {
      kind: 'encoder',
      vocabulary: theirs.vocab_size,
      width: theirs.d_model,
      heads: theirs.n_head,
      headDim: theirs.d_head,
      length: theirs.max_position_embeddings,
      bias: 'kv-out',
      embedding: { norm: 'layer' },
      position: { method: 'transformer-xl', components: theirs.d_model, segments: { types: 3, class: 2 } },
      norm: { kind: 'layer', place: 'post', epsilon: theirs.layer_norm_eps },
      feedForward: { hidden: theirs.d_inner, activation },
      layers,
      ...heads[cls.name],
    };
  },
  map: (theirs, cls) => {
    const { prefix } = cls;
    const { d_model: D, n_head: H, d_head: d } = theirs;
    const names = layersOf(theirs, cls);
    const rules = names.flatMap((name, i): WeightRule[] => {
      if (names.indexOf(name) < i) return [];
      const [own, to] = [`${prefix}${name}`, `stack.layers.${i}`];
      const keyValue = (part: string): [string, string] => [
        `${own}.attention.k_head.${part}`,
        `${own}.attention.v_head.${part}`,
      ];
      return [
        [`${own}.attention.q_head.weight`, `${to}.attention.query.weight`, transposed],
        [keyValue('weight'), `${to}.attention.keyValue.weight`, chain(transposed, joined(1, [H * d, H * d]))],
        [keyValue('bias'), `${to}.attention.keyValue.bias`, joined(0, [H * d, H * d])],
        [`${own}.attention.post_proj.weight`, `${to}.attention.out.weight`, transposed],
        [`${own}.attention.post_proj.bias`, `${to}.attention.out.bias`],
        [`${own}.attention.r_kernel`, `${to}.attention.weight`, chain(reshaped([D, H, d], [D, H * d]), transposed)],
        [`${own}.attention.r_w_bias`, `${to}.attention.contentBias`],
        [`${own}.attention.r_r_bias`, `${to}.attention.positionBias`],
        [`${own}.attention.r_s_bias`, `${to}.attention.othersBias`],
        [
          `${own}.attention.seg_embed`,
          [`${to}.attention.different`, `${to}.attention.others`],
          chain(parted(0, [1, 1]), reshaped([1, H, d], [H, d])),
        ],
        [`${own}.attention.layer_norm.{*}`, `${to}.attentionResidual.norm.{*}`],
        [`${own}.ffn.linear_1.weight`, `${to}.feedForward.up.weight`, transposed],
        [`${own}.ffn.linear_1.bias`, `${to}.feedForward.up.bias`],
        [`${own}.ffn.linear_2.weight`, `${to}.feedForward.down.weight`, transposed],
        [`${own}.ffn.linear_2.bias`, `${to}.feedForward.down.bias`],
        [`${own}.ffn.layer_norm.{*}`, `${to}.feedForwardResidual.norm.{*}`],
      ];
    });
    const linear = (from: string, to: string): WeightRule[] => [
      [`${from}.weight`, `${to}.weight`, transposed],
      [`${from}.bias`, `${to}.bias`],
    ];
    const heads: Readonly<Record<string, readonly WeightRule[]>> = {
      FunnelForMaskedLM: [['lm_head.bias', 'ends.bias']],
      FunnelForQuestionAnswering: linear('qa_outputs', 'head'),
      FunnelForSequenceClassification: [
        ...linear('classifier.linear_hidden', 'dense.dense'),
        ...linear('classifier.linear_out', 'head'),
      ],
      FunnelForTokenClassification: linear('classifier', 'head'),
    };
    const word = `${prefix}embeddings.word_embeddings.weight`;
    return {
      rules: [
        [word, 'ends.embedding.weight'],
        [`${prefix}embeddings.layer_norm.{*}`, 'ends.entry.norm.{*}'],
        ...rules,
        ...(heads[cls.name] ?? []),
      ],
      unused: ['discriminator_predictions.{*}', ...(decodes(cls) ? [] : [`${prefix}decoder.layers.{*}`])],
      ...(cls.name === 'FunnelForMaskedLM' && { ties: { 'lm_head.weight': word } }),
    };
  },
  pooled: true,
  inputs: { token_type_ids: (given, { device }) => ({ types: integersOf('token_type_ids', given, device) }) },
  notes: ({ truncate_seq: truncate, separate_cls: apart }) =>
    truncate && apart
      ? [
          'As in the published code, padding changes what a text gives: a row and the padding after it are pooled together.',
        ]
      : [],
});
