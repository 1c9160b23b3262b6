import type { EncoderLayer, EncoderRule } from '../../oracles/encoder.js';
import type { Shapes } from '../made.js';

const V = 31;
const W = 12;
const H = 3;
const I = 20;
const P = 24;
const C = 3;

/** A published encoder that is made here. */
export interface MadeEncoder {
  readonly config: Readonly<Record<string, unknown>>;
  readonly shapes: Shapes;
  readonly rule: EncoderRule;
  /** Whether results are `start_logits` and `end_logits`. */
  readonly answers?: boolean;
}

/** Linear layers and norms by name, with biases. */
export const linears = (of: Readonly<Record<string, readonly [out: number, inputs: number]>>): Shapes =>
  Object.fromEntries(
    Object.entries(of).flatMap(([name, [out, inputs]]) => [
      [`${name}.weight`, [out, inputs]],
      [`${name}.bias`, [out]],
    ]),
  );
export const norms = (...names: readonly string[]): Shapes =>
  Object.fromEntries(
    names.flatMap((name) => [
      [`${name}.weight`, [W]],
      [`${name}.bias`, [W]],
    ]),
  );

const distilLayer = (i: number): EncoderLayer => {
  const layer = `distilbert.transformer.layer.${i}`;
  return {
    q: `${layer}.attention.q_lin`,
    k: `${layer}.attention.k_lin`,
    v: `${layer}.attention.v_lin`,
    out: `${layer}.attention.out_lin`,
    attentionNorm: `${layer}.sa_layer_norm`,
    up: `${layer}.ffn.lin1`,
    down: `${layer}.ffn.lin2`,
    feedNorm: `${layer}.output_layer_norm`,
  };
};
const shapesOf = (layer: EncoderLayer): Shapes => ({
  ...linears({ [layer.q]: [W, W], [layer.k]: [W, W], [layer.v]: [W, W], [layer.out]: [W, W] }),
  ...norms(layer.attentionNorm, layer.feedNorm),
  ...linears({ [layer.up]: [I, W], [layer.down]: [W, I] }),
});

type Head = Pick<MadeEncoder, 'shapes' | 'answers'> & {
  readonly head: EncoderRule['head'];
  readonly labels?: Readonly<Record<string, string>>;
};

const distil = (name: string, { shapes, head, answers, labels }: Head): MadeEncoder => {
  const layers = [0, 1].map(distilLayer);
  return {
    config: {
      model_type: 'distilbert',
      architectures: [name],
      vocab_size: V,
      dim: W,
      n_layers: 2,
      n_heads: H,
      hidden_dim: I,
      max_position_embeddings: P,
      pad_token_id: 0,
      id2label: labels ?? { 0: 'a', 1: 'b', 2: 'c' },
    },
    shapes: {
      'distilbert.embeddings.word_embeddings.weight': [V, W],
      'distilbert.embeddings.position_embeddings.weight': [P, W],
      ...norms('distilbert.embeddings.LayerNorm'),
      ...Object.assign({}, ...layers.map(shapesOf)),
      ...shapes,
    },
    rule: {
      heads: H,
      activation: 'gelu',
      epsilon: 1e-12,
      words: 'distilbert.embeddings.word_embeddings.weight',
      positions: 'distilbert.embeddings.position_embeddings.weight',
      embeddingNorm: 'distilbert.embeddings.LayerNorm',
      layers,
      head,
    },
    ...(answers && { answers }),
  };
};

const E = 8;
const albertLayer = (group: number): EncoderLayer => {
  const layer = `albert.encoder.albert_layer_groups.${group}.albert_layers.0`;
  return {
    q: `${layer}.attention.query`,
    k: `${layer}.attention.key`,
    v: `${layer}.attention.value`,
    out: `${layer}.attention.dense`,
    attentionNorm: `${layer}.attention.LayerNorm`,
    up: `${layer}.ffn`,
    down: `${layer}.ffn_output`,
    feedNorm: `${layer}.full_layer_layer_norm`,
  };
};

const albert = (name: string, groups: number, { shapes, head, answers }: Head): MadeEncoder => ({
  config: {
    model_type: 'albert',
    architectures: [name],
    vocab_size: V,
    embedding_size: E,
    hidden_size: W,
    num_hidden_layers: 4,
    num_hidden_groups: groups,
    num_attention_heads: H,
    intermediate_size: I,
    max_position_embeddings: P,
    type_vocab_size: 2,
    pad_token_id: 0,
    id2label: { 0: 'a', 1: 'b', 2: 'c' },
  },
  shapes: {
    'albert.embeddings.word_embeddings.weight': [V, E],
    'albert.embeddings.position_embeddings.weight': [P, E],
    'albert.embeddings.token_type_embeddings.weight': [2, E],
    'albert.embeddings.LayerNorm.weight': [E],
    'albert.embeddings.LayerNorm.bias': [E],
    ...linears({ 'albert.encoder.embedding_hidden_mapping_in': [W, E] }),
    ...Object.assign({}, ...Array.from({ length: groups }, (_, group) => shapesOf(albertLayer(group)))),
    ...shapes,
  },
  rule: {
    heads: H,
    activation: 'gelu-tanh',
    epsilon: 1e-12,
    words: 'albert.embeddings.word_embeddings.weight',
    positions: 'albert.embeddings.position_embeddings.weight',
    types: 'albert.embeddings.token_type_embeddings.weight',
    embeddingNorm: 'albert.embeddings.LayerNorm',
    projection: 'albert.encoder.embedding_hidden_mapping_in',
    // the first layers are those of the first group
    layers: [0, 1, 2, 3].map((i) => albertLayer(Math.floor((i * groups) / 4))),
    head,
  },
  ...(answers && { answers }),
});

const bertLayer = (i: number): EncoderLayer => {
  const layer = `bert.encoder.layer.${i}`;
  return {
    q: `${layer}.attention.self.query`,
    k: `${layer}.attention.self.key`,
    v: `${layer}.attention.self.value`,
    out: `${layer}.attention.output.dense`,
    attentionNorm: `${layer}.attention.output.LayerNorm`,
    up: `${layer}.intermediate.dense`,
    down: `${layer}.output.dense`,
    feedNorm: `${layer}.output.LayerNorm`,
  };
};

/** A decoder with BERT's names. */
export const causalBert: MadeEncoder = {
  config: {
    model_type: 'bert',
    architectures: ['BertLMHeadModel'],
    is_decoder: true,
    vocab_size: V,
    hidden_size: W,
    num_hidden_layers: 2,
    num_attention_heads: H,
    intermediate_size: I,
    max_position_embeddings: P,
    type_vocab_size: 2,
    pad_token_id: 0,
  },
  shapes: {
    'bert.embeddings.word_embeddings.weight': [V, W],
    'bert.embeddings.position_embeddings.weight': [P, W],
    'bert.embeddings.token_type_embeddings.weight': [2, W],
    ...norms('bert.embeddings.LayerNorm', 'cls.predictions.transform.LayerNorm'),
    ...shapesOf(bertLayer(0)),
    ...shapesOf(bertLayer(1)),
    ...linears({ 'cls.predictions.transform.dense': [W, W] }),
    'cls.predictions.bias': [V],
  },
  rule: {
    heads: H,
    activation: 'gelu',
    causal: true,
    epsilon: 1e-12,
    words: 'bert.embeddings.word_embeddings.weight',
    positions: 'bert.embeddings.position_embeddings.weight',
    types: 'bert.embeddings.token_type_embeddings.weight',
    embeddingNorm: 'bert.embeddings.LayerNorm',
    layers: [bertLayer(0), bertLayer(1)],
    head: {
      dense: 'cls.predictions.transform.dense',
      activation: 'gelu',
      norm: 'cls.predictions.transform.LayerNorm',
      out: { table: 'bert.embeddings.word_embeddings.weight', bias: 'cls.predictions.bias' },
      rows: 'all',
    },
  },
};

const classesOfRows: Head = {
  shapes: linears({ classifier: [C, W] }),
  head: { out: 'classifier', rows: 'all' },
};
const answer: Head = {
  shapes: linears({ qa_outputs: [2, W] }),
  head: { out: 'qa_outputs', rows: 'all' },
  answers: true,
};

export const madeEncoders: Readonly<Record<string, MadeEncoder>> = {
  'DistilBERT, masked': distil('DistilBertForMaskedLM', {
    shapes: { ...linears({ vocab_transform: [W, W] }), ...norms('vocab_layer_norm'), 'vocab_projector.bias': [V] },
    head: {
      dense: 'vocab_transform',
      activation: 'gelu',
      norm: 'vocab_layer_norm',
      out: { table: 'distilbert.embeddings.word_embeddings.weight', bias: 'vocab_projector.bias' },
      rows: 'all',
    },
  }),
  'DistilBERT, classes of texts': distil('DistilBertForSequenceClassification', {
    shapes: linears({ pre_classifier: [W, W], classifier: [C, W] }),
    head: { dense: 'pre_classifier', activation: 'relu', out: 'classifier', rows: 'first' },
  }),
  'DistilBERT, a number of texts': distil('DistilBertForSequenceClassification', {
    shapes: linears({ pre_classifier: [W, W], classifier: [1, W] }),
    head: { dense: 'pre_classifier', activation: 'relu', out: 'classifier', rows: 'first' },
    labels: { 0: 'score' },
  }),
  'DistilBERT, answers': distil('DistilBertForQuestionAnswering', answer),
  'ALBERT, masked, one group': albert('AlbertForMaskedLM', 1, {
    shapes: {
      ...linears({ 'predictions.dense': [E, W] }),
      'predictions.LayerNorm.weight': [E],
      'predictions.LayerNorm.bias': [E],
      'predictions.bias': [V],
    },
    head: {
      dense: 'predictions.dense',
      activation: 'gelu-tanh',
      norm: 'predictions.LayerNorm',
      out: { table: 'albert.embeddings.word_embeddings.weight', bias: 'predictions.bias' },
      rows: 'all',
    },
  }),
  'ALBERT, classes of texts, two groups': albert('AlbertForSequenceClassification', 2, {
    shapes: linears({ 'albert.pooler': [W, W], classifier: [C, W] }),
    head: { dense: 'albert.pooler', activation: 'tanh', out: 'classifier', rows: 'first' },
  }),
  'BERT as a decoder': causalBert,
  'BigBird as a decoder': {
    ...causalBert,
    config: {
      ...causalBert.config,
      model_type: 'big_bird',
      architectures: ['BigBirdForCausalLM'],
      attention_type: 'original_full',
      hidden_act: 'gelu',
    },
  },
  'ALBERT, classes of tokens': albert('AlbertForTokenClassification', 1, classesOfRows),
};
