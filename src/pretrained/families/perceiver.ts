import { Transformer } from '../../models/index.js';
import { chain, joined, transposed, type WeightRule } from '../../nn/index.js';
import { CapabilityError } from '../../core/errors.js';
import { cast } from '../../ops/index.js';
import { tensor, type Tensor } from '../../tensor/index.js';
import { activationNames, activationOf } from '../activations.js';
import { defineFamily, type Outputs, type RunCall } from '../family.js';
import { count, only, real, word } from '../fields.js';
import { integersOf, paddingOf } from '../inputs.js';
import { contextOf, needed, watched } from '../run.js';

interface Sizes {
  readonly d_latents: number;
  readonly d_model: number;
  readonly qk_channels: number | null;
  readonly v_channels: number | null;
  readonly cross_attention_shape_for_attention: string;
}

/** Of queries and keys, and of values, as the published code chooses them where the configuration does not. */
function channels({ qk_channels: qk, v_channels: v, ...of }: Sizes): {
  readonly cross: readonly [number, number];
  readonly self: readonly [number, number];
} {
  const cross = qk ?? (of.cross_attention_shape_for_attention === 'kv' ? of.d_model : of.d_latents);
  const self = qk ?? of.d_latents;
  return { cross: [cross, v ?? cross], self: [self, v ?? self] };
}

/** Fixed in the published code. */
const decoder = { heads: 8, keys: 256 };

/** Latents ask the input once, then each other; of the masked model every place asks them by its position. */
export const perceiver = defineFamily({
  modelType: 'perceiver',
  title: 'Perceiver IO',
  paper: {
    authors: 'Jaegle et al.',
    title: 'Perceiver IO: A General Architecture for Structured Inputs & Outputs',
    year: 2021,
    arxiv: '2107.14795',
  },
  classes: {
    PerceiverForMaskedLM: { task: 'fill-mask', mark: 'embedding_decoder.bias' },
    PerceiverModel: { task: 'base' },
  },
  prefix: 'perceiver.',
  fields: {
    vocab_size: count(262, 2),
    d_model: count(768),
    d_latents: count(1280),
    num_latents: count(256),
    num_blocks: count(1),
    num_self_attends_per_block: count(26),
    num_self_attention_heads: count(8),
    num_cross_attention_heads: count(8),
    qk_channels: count(null as number | null),
    v_channels: count(null as number | null),
    cross_attention_shape_for_attention: word(['kv', 'q'], 'kv'),
    self_attention_widening_factor: count(1),
    cross_attention_widening_factor: count(1),
    hidden_act: word(activationNames, 'gelu'),
    max_position_embeddings: count(2048),
    use_query_residual: only([true], 'latents that are not added to are not read here'),
    // its norms have 1e-5, whatever this says
    layer_norm_eps: real(1e-12),
    // of classes that are not here
    image_size: count(56),
    train_size: { requirement: { must: 'a list', holds: Array.isArray }, default: [368, 496] as readonly number[] },
    num_frames: count(16),
    audio_samples_per_frame: count(1920),
    samples_per_patch: count(16),
    output_shape: { requirement: { must: 'a list', holds: Array.isArray }, default: [] as readonly number[] },
    output_num_channels: count(512),
  },
  config: (theirs, { task }) => {
    const { d_model: width, d_latents: latents, num_self_attends_per_block: deep } = theirs;
    const { cross, self } = channels(theirs);
    const [asking, own] = [theirs.num_cross_attention_heads, theirs.num_self_attention_heads];
    const activation = activationOf(theirs.hidden_act);
    const hidden = (widening: number, of: number): object => ({ feedForward: { hidden: widening * of, activation } });
    const of = ([keys, values]: readonly [number, number], heads: number): object => ({
      keyDim: keys / heads,
      valueDim: values / heads,
    });
    const selves = Array.from({ length: deep * theirs.num_blocks }, (_, i) =>
      i >= deep
        ? { as: 1 + (i % deep) }
        : {
            sizes: { width: latents, heads: own, headDim: self[0] / own, valueDim: self[1] / own },
            ...hidden(theirs.self_attention_widening_factor, latents),
          },
    );
    const base = task === 'base';
    return {
      kind: 'encoder',
      vocabulary: theirs.vocab_size,
      width,
      heads: 1,
      length: theirs.max_position_embeddings,
      bias: true,
      position: base ? 'none' : 'learned',
      norm: { kind: 'layer', epsilon: 1e-5, final: false },
      ...(base ? { embedding: { given: true } } : { prediction: { bias: true } }),
      layers: [
        {
          mixer: {
            name: 'perceiver',
            options: { latents: theirs.num_latents, ...of(cross, asking), bias: true, norm: true, every: true },
          },
          sizes: { width: latents, heads: asking, headDim: cross[0] / asking },
          ...hidden(theirs.cross_attention_widening_factor, latents),
        },
        ...selves,
        ...(base
          ? []
          : [
              {
                mixer: {
                  name: 'perceiver-output',
                  options: { ...of([decoder.keys, width], decoder.heads), bias: true },
                },
                sizes: { width, heads: decoder.heads, headDim: decoder.keys / decoder.heads },
                ...hidden(1, width),
              },
            ]),
      ],
    };
  },
  map: (theirs, { prefix, task }) => {
    const deep = theirs.num_self_attends_per_block;
    const output = 1 + deep * theirs.num_blocks;
    const linear = (from: string, ours: string): WeightRule[] => [
      [`${from}.weight`, `${ours}.weight`, transposed],
      [`${from}.bias`, `${ours}.bias`],
    ];
    const mlp = (from: string, layer: string): WeightRule[] => [
      [`${from}.layernorm.{*}`, `${layer}.feedForwardResidual.norm.{*}`],
      ...linear(`${from}.mlp.dense1`, `${layer}.feedForward.up`),
      ...linear(`${from}.mlp.dense2`, `${layer}.feedForward.down`),
    ];
    /** One that asks other rows: norms of both, and projections that the mixer names. */
    const asking = (from: string, layer: string, asked: string): WeightRule[] => [
      [`${from}.attention.self.layernorm1.weight`, `${layer}.mixer.${asked}Scale`],
      [`${from}.attention.self.layernorm1.bias`, `${layer}.mixer.${asked}Bias`],
      [`${from}.attention.self.layernorm2.{*}`, `${layer}.attentionResidual.norm.{*}`],
      ...['query', 'key', 'value'].flatMap((name): WeightRule[] => [
        [`${from}.attention.self.${name}.weight`, `${layer}.mixer.${name}`, transposed],
        [`${from}.attention.self.${name}.bias`, `${layer}.mixer.${name}Bias`],
      ]),
      [`${from}.attention.output.dense.weight`, `${layer}.mixer.out`, transposed],
      [`${from}.attention.output.dense.bias`, `${layer}.mixer.outBias`],
      ...mlp(from, layer),
    ];
    const { self } = channels(theirs);
    const extents = [self[0], self[0], self[1]];
    const selves = Array.from({ length: deep }, (_, i): WeightRule[] => {
      const [from, layer] = [`${prefix}encoder.self_attends.${i}`, `stack.layers.${i + 1}`];
      const three = (part: string): string[] =>
        ['query', 'key', 'value'].map((name) => `${from}.attention.self.${name}.${part}`);
      return [
        [`${from}.attention.self.layernorm1.{*}`, `${layer}.attentionResidual.norm.{*}`],
        [three('weight'), `${layer}.attention.qkv.weight`, chain(transposed, joined(1, extents))],
        [three('bias'), `${layer}.attention.qkv.bias`, joined(0, extents)],
        ...linear(`${from}.attention.output.dense`, `${layer}.attention.out`),
        ...mlp(from, layer),
      ];
    }).flat();
    const ofText: WeightRule[] = [
      [`${prefix}input_preprocessor.embeddings.weight`, 'ends.embedding.weight'],
      [`${prefix}input_preprocessor.position_embeddings.weight`, 'stack.positions.table'],
      [`${prefix}decoder.output_position_encodings.position_embeddings`, `stack.layers.${output}.mixer.places`],
      ...asking(`${prefix}decoder.decoding_cross_attention`, `stack.layers.${output}`, 'places'),
      ['embedding_decoder.bias', 'ends.bias'],
    ];
    return {
      rules: [
        [`${prefix}embeddings.latents`, 'stack.layers.0.mixer.latents'],
        ...asking(`${prefix}encoder.cross_attention`, 'stack.layers.0', 'latents'),
        ...selves,
        ...(task === 'base' ? [] : ofText),
      ],
    };
  },
  run: (call) => runLatents(call as never),
  notes: (_, { task }) =>
    task === 'base'
      ? [
          'It is given rows as they are: what makes rows of images, text or sound is not here but for the masked model of text.',
        ]
      : ['It gives as many rows as it is given; the published code gives max_position_embeddings, whatever the input.'],
});

/** Of rows or tokens `inputs`: the latents after each layer, and what is read from them. */
function runLatents(call: RunCall): Outputs {
  const { model, inputs, device, cls } = call;
  if (!(model instanceof Transformer)) throw new CapabilityError('perceiver: is run as the encoder that it is.');
  contextOf(call, ['inputs', 'attention_mask']);
  const given = needed(inputs, 'inputs');
  const rows: Tensor =
    cls.task === 'base'
      ? tensor(Float32Array.from(given.data), given.shape, { device })
      : integersOf('inputs', given, device);
  const padding = paddingOf('attention_mask', inputs['attention_mask']);
  const { result, seen } = watched(() => model.hidden(rows, padding));
  const latents = seen.filter(({ path }) => /^stack\.layers\.\d+$/.test(path)).map(({ output }) => output);
  const named = (all: readonly Tensor[]): Outputs =>
    Object.fromEntries(all.map((one, i) => [`hidden_states.${i}`, one]));
  if (cls.task === 'base') return { last_hidden_state: result, ...named(latents) };
  return { logits: model.ends.logits(cast(result, 'f32')), ...named(latents.slice(0, -1)) };
}
