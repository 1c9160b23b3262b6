import { reshaped, transposed } from '../../nn/index.js';
import { classesOf, headOf, headRules } from '../decoder-heads.js';
import { defineFamily } from '../family.js';
import { count, field, only, real, yes } from '../fields.js';
import { ours } from '../llama-like.js';

const { Mamba2ForCausalLM: language, Mamba2Model: model } = classesOf('Mamba2');
/** A smallest step of 0 and no largest one. */
const unlimited = {
  must: 'from 0 to Infinity',
  holds: (value: unknown) => Array.isArray(value) && value[0] === 0 && value[1] === Infinity,
};

/** Layers are mixers alone, whose states are of fixed size; there are no positions. */
export const mamba2 = defineFamily({
  modelType: 'mamba2',
  title: 'Mamba-2',
  paper: {
    authors: 'Dao, Gu',
    title: 'Transformers are SSMs: Generalized Models and Efficient Algorithms Through Structured State Space Duality',
    year: 2024,
    arxiv: '2405.21060',
  },
  classes: { Mamba2ForCausalLM: language!, Mamba2Model: model! },
  prefix: 'backbone.',
  fields: {
    vocab_size: count(32768, 2),
    hidden_size: count(4096),
    num_hidden_layers: count(64),
    num_heads: count(128),
    head_dim: count(64),
    state_size: count(128),
    n_groups: count(8),
    conv_kernel: count(4),
    expand: count(2),
    layer_norm_epsilon: real(1e-5),
    use_bias: yes(false),
    use_conv_bias: yes(true),
    hidden_act: only(['silu', 'swish'], 'the convolution has this activation'),
    rms_norm: only([true], 'the gate has a norm behind it'),
    residual_in_fp32: yes(true),
    // what the scan is cut into, and what steps begin as
    chunk_size: count(256),
    time_step_rank: field<unknown>({ must: 'anything', holds: () => true }, 'auto'),
    time_step_min: real(0.001),
    time_step_max: real(0.1),
    time_step_floor: real(1e-4),
    time_step_limit: field(unlimited, [0, Infinity]),
    tie_word_embeddings: yes(false),
  },
  config: (theirs, cls) => ({
    kind: 'decoder',
    vocabulary: theirs.vocab_size,
    // no position is learned, so this is a window of training alone
    length: 2048,
    layers: theirs.num_hidden_layers,
    width: theirs.hidden_size,
    heads: 1,
    headDim: 1,
    ...headOf(theirs, cls),
    position: 'none',
    mixer: {
      name: 'mamba2',
      options: {
        heads: theirs.num_heads,
        headSize: theirs.head_dim,
        groups: theirs.n_groups,
        state: theirs.state_size,
        kernel: theirs.conv_kernel,
        bias: theirs.use_bias,
        convolutionBias: theirs.use_conv_bias,
        epsilon: theirs.layer_norm_epsilon,
      },
    },
    feedForward: 'none',
    norm: { kind: 'rms', epsilon: theirs.layer_norm_epsilon },
  }),
  map: (theirs, cls) => {
    const { prefix } = cls;
    const layer = `${prefix}layers.{i}`;
    const mixer = `${ours}.mixer`;
    const channels = theirs.num_heads * theirs.head_dim + 2 * theirs.n_groups * theirs.state_size;
    const head = headRules(theirs, cls, { table: `${prefix}embeddings.weight` });
    return {
      rules: [
        [`${prefix}embeddings.weight`, 'ends.embedding.weight'],
        [`${layer}.norm.weight`, `${ours}.attentionResidual.norm.weight`],
        [`${layer}.mixer.in_proj.weight`, `${mixer}.in`, transposed],
        [`${layer}.mixer.in_proj.bias`, `${mixer}.inBias`],
        [
          `${layer}.mixer.conv1d.weight`,
          `${mixer}.convolution`,
          reshaped([channels, 1, theirs.conv_kernel], [channels, theirs.conv_kernel]),
        ],
        [`${layer}.mixer.conv1d.bias`, `${mixer}.convolutionBias`],
        [`${layer}.mixer.dt_bias`, `${mixer}.step`],
        [`${layer}.mixer.A_log`, `${mixer}.rate`],
        [`${layer}.mixer.D`, `${mixer}.skip`],
        [`${layer}.mixer.norm.weight`, `${mixer}.norm`],
        [`${layer}.mixer.out_proj.weight`, `${mixer}.out`, transposed],
        [`${layer}.mixer.out_proj.bias`, `${mixer}.outBias`],
        [`${prefix}norm_f.weight`, 'stack.norm.weight'],
        ...head.rules,
      ],
      ties: head.ties,
    };
  },
});
