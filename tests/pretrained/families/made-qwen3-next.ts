import { activated } from '../../nn/formulas.js';
import type { DecoderOracle, LayerRule } from '../../oracles/decoder.js';
import { decide, mixture, weightsOf } from '../../oracles/experts.js';
import { gatedDeltaMixer, sigmoid } from '../../oracles/gated-delta-net.js';
import type { Matrix } from '../../oracles/graph.js';
import type { MadeDecoder, Shapes } from '../made.js';
import { anglesOf } from './made-decoders.js';

const [V, W, H, G, D, I] = [31, 24, 4, 2, 8, 20];
/** Heads of keys and of values, and their sizes. */
const [KH, VH, KD, VD, KERNEL] = [2, 4, 6, 5, 3];
const SHARE = VH / KH;
const [E, ACTIVE, M, SHARED] = [5, 2, 10, 14];

const layers = ['linear_attention', 'full_attention', 'linear_attention'] as const;
const DENSE = 2;

const config = {
  model_type: 'qwen3_next',
  architectures: ['Qwen3NextForCausalLM'],
  vocab_size: V,
  hidden_size: W,
  intermediate_size: I,
  num_hidden_layers: layers.length,
  num_attention_heads: H,
  num_key_value_heads: G,
  head_dim: D,
  max_position_embeddings: 64,
  rms_norm_eps: 1e-5,
  rope_theta: 10000,
  partial_rotary_factor: 0.5,
  tie_word_embeddings: false,
  full_attention_interval: 2,
  linear_conv_kernel_dim: KERNEL,
  linear_key_head_dim: KD,
  linear_value_head_dim: VD,
  linear_num_key_heads: KH,
  linear_num_value_heads: VH,
  decoder_sparse_step: 1,
  mlp_only_layers: [DENSE],
  moe_intermediate_size: M,
  shared_expert_intermediate_size: SHARED,
  num_experts: E,
  num_experts_per_tok: ACTIVE,
  norm_topk_prob: true,
  router_aux_loss_coef: 0.001,
  output_router_logits: false,
};

const gated = (at: string, hidden: number): Shapes => ({
  [`${at}.gate_proj.weight`]: [hidden, W],
  [`${at}.up_proj.weight`]: [hidden, W],
  [`${at}.down_proj.weight`]: [W, hidden],
});

const mixerShapes = (at: string, kind: (typeof layers)[number]): Shapes =>
  kind === 'full_attention'
    ? {
        [`${at}.self_attn.q_proj.weight`]: [2 * H * D, W],
        [`${at}.self_attn.k_proj.weight`]: [G * D, W],
        [`${at}.self_attn.v_proj.weight`]: [G * D, W],
        [`${at}.self_attn.o_proj.weight`]: [W, H * D],
        [`${at}.self_attn.q_norm.weight`]: [D],
        [`${at}.self_attn.k_norm.weight`]: [D],
      }
    : {
        [`${at}.linear_attn.in_proj_qkvz.weight`]: [2 * KH * KD + 2 * VH * VD, W],
        [`${at}.linear_attn.in_proj_ba.weight`]: [2 * VH, W],
        [`${at}.linear_attn.conv1d.weight`]: [2 * KH * KD + VH * VD, 1, KERNEL],
        [`${at}.linear_attn.dt_bias`]: [VH],
        [`${at}.linear_attn.A_log`]: [VH],
        [`${at}.linear_attn.norm.weight`]: [VD],
        [`${at}.linear_attn.out_proj.weight`]: [W, VH * VD],
      };

const shapes: Shapes = {
  'model.embed_tokens.weight': [V, W],
  ...Object.assign(
    {},
    ...layers.map((kind, i): Shapes => {
      const at = `model.layers.${i}`;
      const experts = Array.from({ length: E }, (_, e) => gated(`${at}.mlp.experts.${e}`, M));
      return {
        [`${at}.input_layernorm.weight`]: [W],
        [`${at}.post_attention_layernorm.weight`]: [W],
        ...mixerShapes(at, kind),
        ...(i === DENSE
          ? gated(`${at}.mlp`, I)
          : {
              [`${at}.mlp.gate.weight`]: [E, W],
              ...(Object.assign({}, ...experts) as Shapes),
              ...gated(`${at}.mlp.shared_expert`, SHARED),
              [`${at}.mlp.shared_expert_gate.weight`]: [1, W],
            }),
      };
    }),
  ),
  'model.norm.weight': [W],
  'lm_head.weight': [V, W],
};

/** Rows of a published layer, in groups that belong to a head of keys: its query, its key, then values and gates of its share of heads. */
function state(at: string): NonNullable<LayerRule['mix']> {
  const whole = 2 * KD + 2 * SHARE * VD;
  return (oracle: DecoderOracle, x: Matrix): Matrix => {
    const { g } = oracle;
    const part = (name: string, row: number, rows: number): Matrix =>
      oracle.linear({ name: `${at}.linear_attn.${name}`, row, rows }, x);
    const [groupOf, ofGroup] = [(h: number) => Math.floor(h / SHARE), (h: number) => h % SHARE];
    const wide = (h: number, from: number): Matrix =>
      part('in_proj_qkvz', groupOf(h) * whole + 2 * KD + from + ofGroup(h) * VD, VD);
    const gate = (h: number, from: number): Matrix => part('in_proj_ba', groupOf(h) * 2 * SHARE + from + ofGroup(h), 1);
    const weight = (name: string): Matrix => oracle.matrix(`${at}.linear_attn.${name}`)!;
    return gatedDeltaMixer(
      g,
      {
        q: (n) => part('in_proj_qkvz', n * whole, KD),
        k: (n) => part('in_proj_qkvz', n * whole + KD, KD),
        v: (h) => wide(h, 0),
        z: (h) => wide(h, SHARE * VD),
        b: (h) => gate(h, 0),
        a: (h) => gate(h, SHARE),
        convolution: weight('conv1d.weight'),
        step: weight('dt_bias'),
        rate: weight('A_log'),
        norm: weight('norm.weight'),
        out: g.transpose(weight('out_proj.weight')),
      },
      { heads: VH, keyHeads: KH, keySize: KD, valueSize: VD, kernel: KERNEL, epsilon: 1e-5 },
    );
  };
}

/** `Σ_e p_e·FFN_e(x) + σ(x·w)·FFN(x)`, p the largest probabilities divided by their sum. */
function experts(at: string): NonNullable<LayerRule['feed']> {
  return (oracle: DecoderOracle, x: Matrix): Matrix => {
    const { g } = oracle;
    const linear = (name: string, y: Matrix): Matrix => oracle.linear({ name: `${at}.mlp.${name}` }, y);
    const ffn = (name: string): Matrix =>
      linear(
        `${name}.down_proj`,
        g.mul(activated(g, 'silu', linear(`${name}.gate_proj`, x)), linear(`${name}.up_proj`, x)),
      );
    const p = g.softmax(linear('gate', x));
    const routing = { experts: E, active: ACTIVE, renormalise: true, room: Infinity } as const;
    const mixed = mixture(g, weightsOf(g, p, decide(p, routing), true), (e) => ffn(`experts.${e}`));
    return g.add(mixed, g.mul(ffn('shared_expert'), sigmoid(g, linear('shared_expert_gate', x))));
  };
}

/** As its description and published code have it: no golden folder is there. */
export const qwen3Next: MadeDecoder = {
  config,
  shapes,
  routes: true,
  rule: {
    heads: H,
    groups: G,
    headDim: D,
    norm: { mean: false, epsilon: 1e-5, plusOne: true },
    table: 'model.embed_tokens.weight',
    layers: layers.map((kind, i): LayerRule => {
      const at = `model.layers.${i}`;
      const head = (name: string) => (h: number) => ({ name: `${at}.self_attn.${name}`, row: h * D });
      const query = (which: 0 | 1) => (h: number) => ({ name: `${at}.self_attn.q_proj`, row: (2 * h + which) * D });
      return {
        norms: { attention: `${at}.input_layernorm`, feed: `${at}.post_attention_layernorm` },
        q: query(0),
        headGate: query(1),
        k: head('k_proj'),
        v: head('v_proj'),
        out: `${at}.self_attn.o_proj`,
        headNorms: { q: `${at}.self_attn.q_norm`, k: `${at}.self_attn.k_norm`, over: 'head' },
        scale: D ** -0.5,
        turn: { angles: anglesOf(D / 2) },
        gate: { name: `${at}.mlp.gate_proj` },
        up: { name: `${at}.mlp.up_proj` },
        down: { name: `${at}.mlp.down_proj` },
        activation: 'silu',
        ...(kind === 'linear_attention' && { mix: state(at) }),
        ...(i !== DENSE && { feed: experts(at) }),
      };
    }),
    finalNorm: 'model.norm',
    head: 'lm_head.weight',
  },
};
