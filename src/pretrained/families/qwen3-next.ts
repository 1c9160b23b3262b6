import { oneOf, listOf } from '../../core/requirements.js';
import { chain, joined, parted, reordered, reshaped, transposed, type WeightRule } from '../../nn/index.js';
import { count, counts, field, only, yes } from '../fields.js';
import { gatedRules, llamaLike, ours } from '../llama-like.js';
import type { Heads } from '../projections.js';
import { runExperts } from '../routers.js';
import { layersAs } from '../windows.js';
import { gatedExperts, sharedExpert } from './olmoe.js';
import { qwenFeedForward } from './qwen2-moe.js';

const layerKinds = ['linear_attention', 'full_attention'] as const;
type LayerKind = (typeof layerKinds)[number];

interface LinearSizes {
  readonly linear_num_key_heads: number;
  readonly linear_num_value_heads: number;
  readonly linear_key_head_dim: number;
  readonly linear_value_head_dim: number;
}

/** States that tokens correct in most layers, attention with a gate in the others; experts in all. */
export const qwen3Next = llamaLike({
  modelType: 'qwen3_next',
  title: 'Qwen3-Next',
  paper: {
    authors: 'Yang, Kautz, Hatamizadeh',
    title: 'Gated Delta Networks: Improving Mamba2 with Delta Rule',
    year: 2024,
    arxiv: '2412.06464',
  },
  stem: 'Qwen3Next',
  rotary: 0.25,
  fields: {
    head_dim: count(256),
    hidden_act: only(['silu'], 'the convolution has this activation'),
    attention_bias: yes(false),
    layer_types: field<readonly LayerKind[] | null>(listOf('kinds of layers', oneOf(layerKinds)), null),
    full_attention_interval: count(4),
    linear_conv_kernel_dim: count(4),
    linear_key_head_dim: count(128),
    linear_value_head_dim: count(128),
    linear_num_key_heads: count(16),
    linear_num_value_heads: count(32),
    decoder_sparse_step: count(1),
    mlp_only_layers: counts([]),
    moe_intermediate_size: count(512),
    shared_expert_intermediate_size: count(512),
    num_experts: count(512, 0),
    num_experts_per_tok: count(10),
    norm_topk_prob: yes(true),
  },
  config: (theirs) => {
    const { full_attention_interval: interval } = theirs;
    const usual = (i: number): LayerKind => ((i + 1) % interval === 0 ? 'full_attention' : 'linear_attention');
    const types = theirs.layer_types ?? Array.from({ length: theirs.num_hidden_layers }, (_, i) => usual(i));
    const feedForward = qwenFeedForward(theirs);
    const state = {
      name: 'gated-delta-net',
      options: {
        heads: theirs.linear_num_value_heads,
        keyHeads: theirs.linear_num_key_heads,
        keySize: theirs.linear_key_head_dim,
        valueSize: theirs.linear_value_head_dim,
        kernel: theirs.linear_conv_kernel_dim,
        epsilon: theirs.rms_norm_eps,
      },
    };
    return {
      bias: theirs.attention_bias,
      norm: { kind: 'rms', epsilon: theirs.rms_norm_eps, centred: true },
      ...layersAs(
        types.map((type, i) => ({
          ...(type === 'linear_attention' ? { mixer: state } : { attention: { queryKeyNorm: 'heads', gate: true } }),
          feedForward: feedForward(i),
        })),
      ),
    };
  },
  map: (theirs) => ({
    qkv: (attention) => gatedQueries(attention, headsOf(theirs)),
    more: (layer) => linearRules(`${layer}.linear_attn`, theirs),
    feedForward: (layer) => [
      ...(theirs.num_experts > 0
        ? gatedExperts(layer, {
            experts: theirs.num_experts,
            width: theirs.hidden_size,
            hidden: theirs.moe_intermediate_size,
          })
        : []),
      ...sharedExpert(layer),
      ...gatedRules(layer),
    ],
    // layers that predict more tokens ahead, which the published class leaves out too
    unused: ['mtp.{*}'],
  }),
  run: runExperts,
});

const headsOf = (theirs: {
  readonly num_attention_heads: number;
  readonly num_key_value_heads: number | null;
  readonly head_dim: number;
}): Heads => ({
  heads: theirs.num_attention_heads,
  kvHeads: theirs.num_key_value_heads ?? theirs.num_attention_heads,
  headDim: theirs.head_dim,
});

const range = (from: number, count: number): number[] => Array.from({ length: count }, (_, i) => from + i);

/** Queries by heads, each followed by what its gate is of; keys, and values: ours are those three together, and the gates apart. */
function gatedQueries(attention: string, { heads, kvHeads, headDim }: Heads): readonly WeightRule[] {
  const [queries, keys] = [heads * headDim, kvHeads * headDim];
  const half = (which: 0 | 1): number[] => range(0, heads).flatMap((h) => range((2 * h + which) * headDim, headDim));
  const order = [...half(0), ...range(2 * queries, 2 * keys), ...half(1)];
  const change = (axis: 0 | 1) =>
    chain(joined(axis, [2 * queries, keys, keys]), reordered(axis, order), parted(axis, [queries + 2 * keys, queries]));
  const theirs = (what: string): string[] => ['q', 'k', 'v'].map((name) => `${attention}.${name}_proj.${what}`);
  const own = (what: string): string[] => ['qkv', 'gate'].map((name) => `${ours}.attention.${name}.${what}`);
  return [
    [theirs('weight'), own('weight'), chain(transposed, change(1))],
    [theirs('bias'), own('bias'), change(0)],
  ];
}

/** The layer with a state: its file has columns by heads of keys, each with the values and gates of its share of the heads. */
function linearRules(
  layer: string,
  theirs: LinearSizes & { readonly linear_conv_kernel_dim: number },
): readonly WeightRule[] {
  const { linear_num_key_heads: groups, linear_key_head_dim: D, linear_value_head_dim: E } = theirs;
  const share = theirs.linear_num_value_heads / groups;
  const channels = 2 * groups * D + theirs.linear_num_value_heads * E;
  const own = `${ours}.mixer`;
  /** Ours in order of the parts, theirs in order of the groups. */
  const byParts = (sizes: readonly number[]): number[] => {
    const whole = sizes.reduce((sum, size) => sum + size, 0);
    return sizes.flatMap((size, part) => {
      const first = sizes.slice(0, part).reduce((sum, one) => sum + one, 0);
      return range(0, groups).flatMap((group) => range(group * whole + first, size));
    });
  };
  const kernel = theirs.linear_conv_kernel_dim;
  return [
    [
      `${layer}.in_proj_qkvz.weight`,
      `${own}.in`,
      chain(transposed, reordered(1, byParts([D, D, share * E, share * E]))),
    ],
    [`${layer}.in_proj_ba.weight`, `${own}.gates`, chain(transposed, reordered(1, byParts([share, share])))],
    [`${layer}.conv1d.weight`, `${own}.convolution`, reshaped([channels, 1, kernel], [channels, kernel])],
    [`${layer}.dt_bias`, `${own}.step`],
    [`${layer}.A_log`, `${own}.rate`],
    [`${layer}.norm.weight`, `${own}.norm`],
    [`${layer}.out_proj.weight`, `${own}.out`, transposed],
  ];
}
