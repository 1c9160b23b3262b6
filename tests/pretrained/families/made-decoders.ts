import type { LayerRule } from '../../oracles/decoder.js';
import { alibiSlopes } from '../../oracles/rules.js';
import type { MadeDecoder, Shapes } from '../made.js';

const V = 31;
const W = 24;
const H = 4;
const G = 2;
const D = 6;
const I = 20;

/** `base^(−2k/R)`. */
export const anglesOf = (rotary: number, base = 10000): number[] =>
  Array.from({ length: rotary / 2 }, (_, k) => base ** ((-2 * k) / rotary));

/** `count` layers, whose tensors begin with a prefix and a number. */
const each = (count: number, prefix: string, of: Shapes): Shapes =>
  Object.fromEntries(
    Array.from({ length: count }, (_, i) => i).flatMap((i) =>
      Object.entries(of).map(([name, shape]) => [`${prefix}${i}.${name}`, shape] as const),
    ),
  );

interface LlamaShape {
  readonly layers: number;
  readonly norms: readonly string[];
  readonly qkvBias?: boolean;
  readonly headNorm?: 'head' | 'all';
  readonly tied?: boolean;
}

/** Tensors of a decoder with Llama's names. */
const llamaShapes = ({ layers, norms, qkvBias, headNorm, tied }: LlamaShape): Shapes => ({
  'model.embed_tokens.weight': [V, W],
  ...each(layers, 'model.layers.', {
    ...Object.fromEntries(norms.map((name) => [`${name}.weight`, [W]])),
    'self_attn.q_proj.weight': [H * D, W],
    'self_attn.k_proj.weight': [G * D, W],
    'self_attn.v_proj.weight': [G * D, W],
    'self_attn.o_proj.weight': [W, H * D],
    ...(qkvBias && {
      'self_attn.q_proj.bias': [H * D],
      'self_attn.k_proj.bias': [G * D],
      'self_attn.v_proj.bias': [G * D],
    }),
    ...(headNorm && {
      'self_attn.q_norm.weight': [headNorm === 'head' ? D : H * D],
      'self_attn.k_norm.weight': [headNorm === 'head' ? D : G * D],
    }),
    'mlp.gate_proj.weight': [I, W],
    'mlp.up_proj.weight': [I, W],
    'mlp.down_proj.weight': [W, I],
  }),
  'model.norm.weight': [W],
  ...(!tied && { 'lm_head.weight': [V, W] }),
});

const llamaConfig = (layers: number): object => ({
  vocab_size: V,
  hidden_size: W,
  intermediate_size: I,
  num_hidden_layers: layers,
  num_attention_heads: H,
  num_key_value_heads: G,
  head_dim: D,
  max_position_embeddings: 64,
  rms_norm_eps: 1e-5,
  rope_theta: 10000,
  tie_word_embeddings: false,
});

const llamaLayer = (i: number): LayerRule => {
  const at = `model.layers.${i}`;
  const head = (name: string) => (h: number) => ({ name: `${at}.self_attn.${name}`, row: h * D });
  return {
    norms: { attention: `${at}.input_layernorm`, feed: `${at}.post_attention_layernorm` },
    q: head('q_proj'),
    k: head('k_proj'),
    v: head('v_proj'),
    out: `${at}.self_attn.o_proj`,
    scale: D ** -0.5,
    turn: { angles: anglesOf(D) },
    gate: { name: `${at}.mlp.gate_proj` },
    up: { name: `${at}.mlp.up_proj` },
    down: { name: `${at}.mlp.down_proj` },
    activation: 'silu',
  };
};

const llamaRule = (layers: readonly LayerRule[]): MadeDecoder['rule'] => ({
  heads: H,
  groups: G,
  headDim: D,
  norm: { mean: false, epsilon: 1e-5 },
  table: 'model.embed_tokens.weight',
  layers,
  finalNorm: 'model.norm',
  head: 'lm_head.weight',
});

const usual = ['input_layernorm', 'post_attention_layernorm'];
const list = <T>(count: number, of: (i: number) => T): T[] => Array.from({ length: count }, (_, i) => of(i));
const headNormsOf = (i: number, over: 'head' | 'all'): LayerRule['headNorms'] => ({
  q: `model.layers.${i}.self_attn.q_norm`,
  k: `model.layers.${i}.self_attn.k_norm`,
  over,
});
const four = ['input_layernorm', 'post_attention_layernorm', 'pre_feedforward_layernorm', 'post_feedforward_layernorm'];
const sandwich = (i: number): LayerRule['norms'] => ({
  attention: `model.layers.${i}.input_layernorm`,
  attentionOut: `model.layers.${i}.post_attention_layernorm`,
  feed: `model.layers.${i}.pre_feedforward_layernorm`,
  feedOut: `model.layers.${i}.post_feedforward_layernorm`,
});

/** Queries, keys and values in one tensor: each head's, or each group's, one after the other. */
const fused = (name: string, groups: number, size = W / H): Pick<LayerRule, 'q' | 'k' | 'v'> => {
  const share = H / groups;
  const group = (share + 2) * size;
  return {
    q: (h) => ({ name, row: Math.floor(h / share) * group + (h % share) * size }),
    k: (g) => ({ name, row: g * group + share * size }),
    v: (g) => ({ name, row: g * group + (share + 1) * size }),
  };
};

const falcon = (
  options: { readonly groups: number; readonly norms: readonly [string, string?]; readonly parallel: boolean },
  config: object,
  layer: Partial<LayerRule>,
): MadeDecoder => ({
  config: {
    model_type: 'falcon',
    architectures: ['FalconForCausalLM'],
    vocab_size: V,
    hidden_size: W,
    num_hidden_layers: 2,
    num_attention_heads: H,
    layer_norm_epsilon: 1e-5,
    ffn_hidden_size: I,
    max_position_embeddings: 64,
    ...config,
  },
  shapes: {
    'transformer.word_embeddings.weight': [V, W],
    ...each(2, 'transformer.h.', {
      ...Object.fromEntries(
        options.norms.flatMap((name) => [
          [`${name}.weight`, [W]],
          [`${name}.bias`, [W]],
        ]),
      ),
      'self_attention.query_key_value.weight': [W + (2 * options.groups * W) / H, W],
      'self_attention.dense.weight': [W, W],
      'mlp.dense_h_to_4h.weight': [I, W],
      'mlp.dense_4h_to_h.weight': [W, I],
    }),
    'transformer.ln_f.weight': [W],
    'transformer.ln_f.bias': [W],
    'lm_head.weight': [V, W],
  },
  rule: {
    heads: H,
    groups: options.groups,
    headDim: W / H,
    norm: { mean: true, epsilon: 1e-5 },
    table: 'transformer.word_embeddings.weight',
    layers: list(2, (i): LayerRule => {
      const at = `transformer.h.${i}`;
      return {
        norms: {
          attention: `${at}.${options.norms[0]}`,
          ...(options.norms[1] !== undefined && { feed: `${at}.${options.norms[1]}` }),
        },
        parallel: options.parallel,
        ...fused(`${at}.self_attention.query_key_value`, options.groups),
        out: `${at}.self_attention.dense`,
        scale: (W / H) ** -0.5,
        turn: { angles: anglesOf(W / H) },
        up: { name: `${at}.mlp.dense_h_to_4h` },
        down: { name: `${at}.mlp.dense_4h_to_h` },
        activation: 'gelu',
        ...layer,
      };
    }),
    finalNorm: 'transformer.ln_f',
    head: 'transformer.word_embeddings.weight',
  },
});

/** Families without a golden folder, and what is special in each, from the descriptions of their architectures. */
export const madeDecoders: Readonly<Record<string, MadeDecoder>> = {
  'qwen2, biases of queries, keys and values, a window from layer 1 on': {
    config: {
      ...llamaConfig(3),
      model_type: 'qwen2',
      architectures: ['Qwen2ForCausalLM'],
      use_sliding_window: true,
      sliding_window: 5,
      max_window_layers: 1,
    },
    shapes: llamaShapes({ layers: 3, norms: usual, qkvBias: true }),
    rule: llamaRule(list(3, (i) => ({ ...llamaLayer(i), ...(i >= 1 && { window: 5 }) }))),
  },
  'qwen3, normed heads': {
    config: { ...llamaConfig(2), model_type: 'qwen3', architectures: ['Qwen3ForCausalLM'] },
    shapes: llamaShapes({ layers: 2, norms: usual, headNorm: 'head' }),
    rule: llamaRule(list(2, (i) => ({ ...llamaLayer(i), headNorms: headNormsOf(i, 'head') }))),
  },
  'olmo2, norms behind the branches, queries and keys normed over all heads': {
    config: { ...llamaConfig(2), model_type: 'olmo2', architectures: ['Olmo2ForCausalLM'] },
    shapes: llamaShapes({
      layers: 2,
      norms: ['post_attention_layernorm', 'post_feedforward_layernorm'],
      headNorm: 'all',
    }),
    rule: llamaRule(
      list(2, (i) => ({
        ...llamaLayer(i),
        norms: {
          attentionOut: `model.layers.${i}.post_attention_layernorm`,
          feedOut: `model.layers.${i}.post_feedforward_layernorm`,
        },
        headNorms: headNormsOf(i, 'all'),
      })),
    ),
  },
  'phi3, fused projections, LongRoPE beyond the trained length on part of the head': {
    config: {
      ...llamaConfig(2),
      model_type: 'phi3',
      architectures: ['Phi3ForCausalLM'],
      head_dim: null,
      partial_rotary_factor: 0.7,
      original_max_position_embeddings: 16,
      rope_scaling: { type: 'longrope', short_factor: [1, 1.5], long_factor: [1.25, 6] },
      sliding_window: 11,
    },
    shapes: {
      'model.embed_tokens.weight': [V, W],
      ...each(2, 'model.layers.', {
        'input_layernorm.weight': [W],
        'post_attention_layernorm.weight': [W],
        'self_attn.qkv_proj.weight': [(H + 2 * G) * D, W],
        'self_attn.o_proj.weight': [W, H * D],
        'mlp.gate_up_proj.weight': [2 * I, W],
        'mlp.down_proj.weight': [W, I],
      }),
      'model.norm.weight': [W],
      'lm_head.weight': [V, W],
    },
    rule: llamaRule(
      list(2, (i) => {
        const qkv = `model.layers.${i}.self_attn.qkv_proj`;
        const gateUp = `model.layers.${i}.mlp.gate_up_proj`;
        return {
          ...llamaLayer(i),
          q: (h) => ({ name: qkv, row: h * D }),
          k: (h) => ({ name: qkv, row: (H + h) * D }),
          v: (h) => ({ name: qkv, row: (H + G + h) * D }),
          gate: { name: gateUp, row: 0, rows: I },
          up: { name: gateUp, row: I, rows: I },
          // 19 tokens are beyond 16; √(1 + ln(64/16)/ln 16)
          turn: {
            angles: anglesOf(4).map((angle, k) => angle / [1.25, 6][k]!),
            magnitude: Math.sqrt(1 + Math.log(4) / Math.log(16)),
          },
          window: 11,
        };
      }),
    ),
  },
  'gemma2, capped scores and logits, norms on both sides, windows in turn': {
    config: {
      ...llamaConfig(3),
      model_type: 'gemma2',
      architectures: ['Gemma2ForCausalLM'],
      hidden_activation: 'gelu_pytorch_tanh',
      query_pre_attn_scalar: 10,
      attn_logit_softcapping: 2,
      final_logit_softcapping: 3,
      sliding_window: 4,
      tie_word_embeddings: true,
    },
    shapes: { ...llamaShapes({ layers: 3, norms: four, tied: true }), 'lm_head.weight': [V, W] },
    rule: {
      ...llamaRule(
        list(3, (i) => ({
          ...llamaLayer(i),
          norms: sandwich(i),
          scale: 10 ** -0.5,
          cap: 2,
          activation: 'gelu-tanh',
          ...(i % 2 === 0 && { window: 4 }),
        })),
      ),
      head: 'model.embed_tokens.weight',
      norm: { mean: false, epsilon: 1e-5, plusOne: true },
      scale: Math.sqrt(W),
      logitCap: 3,
    },
  },
  'gemma3, two kinds of rotary positions, normed heads': {
    config: {
      ...llamaConfig(4),
      model_type: 'gemma3_text',
      architectures: ['Gemma3ForCausalLM'],
      hidden_activation: 'gelu_pytorch_tanh',
      query_pre_attn_scalar: 9,
      rope_theta: 1e6,
      rope_local_base_freq: 100,
      rope_scaling: { rope_type: 'linear', factor: 8 },
      sliding_window: 6,
      sliding_window_pattern: 3,
      tie_word_embeddings: true,
    },
    shapes: { ...llamaShapes({ layers: 4, norms: four, headNorm: 'head', tied: true }), 'lm_head.weight': [V, W] },
    rule: {
      ...llamaRule(
        list(4, (i) => ({
          ...llamaLayer(i),
          norms: sandwich(i),
          headNorms: headNormsOf(i, 'head'),
          scale: 1 / 3,
          activation: 'gelu-tanh',
          ...((i + 1) % 3 === 0
            ? { turn: { angles: anglesOf(D, 1e6).map((angle) => angle / 8) } }
            : { turn: { angles: anglesOf(D, 100) }, window: 6 }),
        })),
      ),
      head: 'model.embed_tokens.weight',
      norm: { mean: false, epsilon: 1e-5, plusOne: true },
      scale: Math.sqrt(W),
    },
  },
  'gpt_neox, both branches beside each other, a third of each head turns': {
    config: {
      model_type: 'gpt_neox',
      architectures: ['GPTNeoXForCausalLM'],
      vocab_size: V,
      hidden_size: W,
      intermediate_size: I,
      num_hidden_layers: 2,
      num_attention_heads: H,
      max_position_embeddings: 64,
      rotary_pct: 0.34,
      rotary_emb_base: 500,
      layer_norm_eps: 1e-5,
    },
    shapes: {
      'gpt_neox.embed_in.weight': [V, W],
      ...each(2, 'gpt_neox.layers.', {
        'input_layernorm.weight': [W],
        'input_layernorm.bias': [W],
        'post_attention_layernorm.weight': [W],
        'post_attention_layernorm.bias': [W],
        'attention.query_key_value.weight': [3 * W, W],
        'attention.query_key_value.bias': [3 * W],
        'attention.dense.weight': [W, W],
        'attention.dense.bias': [W],
        'mlp.dense_h_to_4h.weight': [I, W],
        'mlp.dense_h_to_4h.bias': [I],
        'mlp.dense_4h_to_h.weight': [W, I],
        'mlp.dense_4h_to_h.bias': [W],
      }),
      'gpt_neox.final_layer_norm.weight': [W],
      'gpt_neox.final_layer_norm.bias': [W],
      'embed_out.weight': [V, W],
    },
    rule: {
      heads: H,
      groups: H,
      headDim: D,
      norm: { mean: true, epsilon: 1e-5 },
      table: 'gpt_neox.embed_in.weight',
      layers: list(2, (i): LayerRule => {
        const at = `gpt_neox.layers.${i}`;
        return {
          norms: { attention: `${at}.input_layernorm`, feed: `${at}.post_attention_layernorm` },
          parallel: true,
          ...fused(`${at}.attention.query_key_value`, H),
          out: `${at}.attention.dense`,
          scale: D ** -0.5,
          turn: { angles: anglesOf(2, 500) },
          up: { name: `${at}.mlp.dense_h_to_4h` },
          down: { name: `${at}.mlp.dense_4h_to_h` },
          activation: 'gelu',
        };
      }),
      finalNorm: 'gpt_neox.final_layer_norm',
      head: 'embed_out.weight',
    },
  },
  'mpt, ALiBi of three heads, no biases': {
    config: {
      model_type: 'mpt',
      architectures: ['MptForCausalLM'],
      vocab_size: V,
      d_model: W,
      n_heads: 3,
      n_layers: 2,
      expansion_ratio: 2,
      max_seq_len: 64,
      attn_config: { alibi: true, alibi_bias_max: 4, attn_impl: 'torch', softmax_scale: 0.4, clip_qkv: null },
    },
    shapes: {
      'transformer.wte.weight': [V, W],
      ...each(2, 'transformer.blocks.', {
        'norm_1.weight': [W],
        'norm_2.weight': [W],
        'attn.Wqkv.weight': [3 * W, W],
        'attn.out_proj.weight': [W, W],
        'ffn.up_proj.weight': [2 * W, W],
        'ffn.down_proj.weight': [W, 2 * W],
      }),
      'transformer.norm_f.weight': [W],
      'lm_head.weight': [V, W],
    },
    rule: {
      heads: 3,
      groups: 3,
      headDim: W / 3,
      norm: { mean: true, epsilon: 1e-5 },
      table: 'transformer.wte.weight',
      layers: list(2, (i): LayerRule => {
        const at = `transformer.blocks.${i}`;
        const head = (first: number) => (h: number) => ({ name: `${at}.attn.Wqkv`, row: first * W + (h * W) / 3 });
        return {
          norms: { attention: `${at}.norm_1`, feed: `${at}.norm_2` },
          q: head(0),
          k: head(1),
          v: head(2),
          out: `${at}.attn.out_proj`,
          scale: 0.4,
          // of the next power of two, 4: exponents 1 to 4; the second and fourth, then the first
          slope: (h) => [2 ** -2, 2 ** -4, 2 ** -1][h]!,
          up: { name: `${at}.ffn.up_proj` },
          down: { name: `${at}.ffn.down_proj` },
          activation: 'gelu',
        };
      }),
      finalNorm: 'transformer.norm_f',
      head: 'transformer.wte.weight',
    },
  },
  'falcon, one key for all heads, one norm for both branches': falcon(
    { groups: 1, norms: ['input_layernorm'], parallel: true },
    {},
    {},
  ),
  'falcon, keys of groups, two norms': falcon(
    { groups: G, norms: ['ln_attn', 'ln_mlp'], parallel: true },
    { new_decoder_architecture: true, num_kv_heads: G },
    {},
  ),
  'falcon, ALiBi, one branch after the other': falcon(
    { groups: H, norms: ['input_layernorm', 'post_attention_layernorm'], parallel: false },
    { multi_query: false, parallel_attn: false, alibi: true },
    { turn: undefined, slope: (h) => alibiSlopes(H)[h]! * (W / H) ** -0.5 },
  ),
};

/** A decoder whose classes are read from its rows, without a name of its class. */
export const llamaForClasses = (ofTokens: boolean): MadeDecoder => ({
  config: { ...llamaConfig(2), model_type: 'llama', id2label: { 0: 'A', 1: 'B', 2: 'C' } },
  shapes: {
    ...llamaShapes({ layers: 2, norms: usual, tied: true }),
    'score.weight': [3, W],
    ...(ofTokens && { 'score.bias': [3] }),
  },
  rule: { ...llamaRule(list(2, llamaLayer)), head: 'model.embed_tokens.weight' },
});

/** Weights of its layers are `[in, out]`, so the oracle is given them turned. */
export const gpt2ByLayer: MadeDecoder = {
  config: {
    model_type: 'gpt2',
    architectures: ['GPT2LMHeadModel'],
    vocab_size: V,
    n_positions: 32,
    n_embd: W,
    n_layer: 3,
    n_head: H,
    n_inner: I,
    scale_attn_by_inverse_layer_idx: true,
  },
  shapes: {
    'transformer.wte.weight': [V, W],
    'transformer.wpe.weight': [32, W],
    ...each(3, 'transformer.h.', {
      'ln_1.weight': [W],
      'ln_1.bias': [W],
      'attn.c_attn.weight': [W, 3 * W],
      'attn.c_attn.bias': [3 * W],
      'attn.c_proj.weight': [W, W],
      'attn.c_proj.bias': [W],
      'ln_2.weight': [W],
      'ln_2.bias': [W],
      'mlp.c_fc.weight': [W, I],
      'mlp.c_fc.bias': [I],
      'mlp.c_proj.weight': [I, W],
      'mlp.c_proj.bias': [W],
    }),
    'transformer.ln_f.weight': [W],
    'transformer.ln_f.bias': [W],
    'lm_head.weight': [V, W],
  },
  rule: {
    heads: H,
    groups: H,
    headDim: D,
    norm: { mean: true, epsilon: 1e-5 },
    table: 'transformer.wte.weight',
    positions: 'transformer.wpe.weight',
    turned: true,
    layers: list(3, (i): LayerRule => {
      const at = `transformer.h.${i}`;
      const head = (first: number) => (h: number) => ({ name: `${at}.attn.c_attn`, row: first * W + h * D });
      return {
        norms: { attention: `${at}.ln_1`, feed: `${at}.ln_2` },
        q: head(0),
        k: head(1),
        v: head(2),
        out: `${at}.attn.c_proj`,
        scale: D ** -0.5 / (i + 1),
        up: { name: `${at}.mlp.c_fc` },
        down: { name: `${at}.mlp.c_proj` },
        activation: 'gelu-tanh',
      };
    }),
    finalNorm: 'transformer.ln_f',
    head: 'transformer.wte.weight',
  },
};
