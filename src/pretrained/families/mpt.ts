import { OptionError } from '../../core/errors.js';
import { plainObject } from '../../core/requirements.js';
import { defineFamily } from '../family.js';
import { count, field, only, real } from '../fields.js';
import { ours } from '../llama-like.js';
import { classesOf, headOf, headRules } from '../decoder-heads.js';
import { linear } from '../projections.js';

type Attention = Readonly<Record<string, unknown>>;
/** What else `attn_config` may hold, and the only values that are read. */
const understood: Attention = {
  attn_type: 'multihead_attention',
  clip_qkv: null,
  prefix_lm: false,
  qk_ln: false,
  attn_uses_sequence_id: false,
  alibi: true,
};
/** What is read, and what changes nothing. */
const others = new Set(['attn_pdrop', 'attn_impl', 'model_type', 'softmax_scale', 'alibi_bias_max']);

/** ALiBi, and no biases anywhere. */
export const mpt = defineFamily({
  modelType: 'mpt',
  title: 'MPT',
  paper: { authors: 'MosaicML NLP Team', title: 'Introducing MPT-7B', year: 2023 },
  classes: { ...classesOf('Mpt', { tokens: 'classifier' }), MPTForCausalLM: { task: 'generate' } },
  prefix: 'transformer.',
  fields: {
    vocab_size: count(50368, 2),
    d_model: count(2048),
    n_heads: count(16),
    n_layers: count(24),
    expansion_ratio: count(4),
    max_seq_len: count(2048),
    layer_norm_epsilon: real(1e-5),
    attn_config: field<Attention>(plainObject, {}),
    no_bias: only([true], 'the published code has no biases'),
    logit_scale: only([null], 'logits are not scaled'),
    norm_type: only(['low_precision_layernorm'], 'norms are layer norms'),
    learned_pos_emb: field({ must: 'true or false', holds: (x) => typeof x === 'boolean' }, true),
    emb_pdrop: field({ must: 'a number', holds: Number.isFinite }, 0),
    init_device: field({ must: 'a text', holds: (x) => typeof x === 'string' }, 'cpu'),
    verbose: field({ must: 'a number', holds: Number.isFinite }, 0),
  },
  config: (theirs, cls) => {
    const attention = theirs.attn_config;
    const wrong = Object.keys(attention).filter(
      (name) => !others.has(name) && attention[name] !== null && attention[name] !== (understood[name] ?? null),
    );
    if (wrong.length > 0) {
      throw new OptionError(
        `MPT: attn_config: ${wrong.map((name) => `${name} must be ${JSON.stringify(understood[name] ?? null)}`).join('; ')}.`,
      );
    }
    const scale = attention['softmax_scale'] as number | null | undefined;
    const exponent = attention['alibi_bias_max'] as number | undefined;
    return {
      vocabulary: theirs.vocab_size,
      length: theirs.max_seq_len,
      layers: theirs.n_layers,
      width: theirs.d_model,
      heads: theirs.n_heads,
      ...headOf(theirs, cls),
      position: { method: 'alibi', ...(exponent !== undefined && { exponent }) },
      ...(typeof scale === 'number' && { attention: { scale } }),
      feedForward: { hidden: theirs.expansion_ratio * theirs.d_model, activation: 'gelu', bias: false },
      norm: { kind: 'layer', epsilon: theirs.layer_norm_epsilon, bias: false },
    };
  },
  map: (theirs, cls) => {
    const { prefix } = cls;
    const layer = `${prefix}blocks.{i}`;
    const head = headRules(theirs, cls, { table: `${prefix}wte.weight`, tokens: 'classifier' });
    return {
      rules: [
        [`${prefix}wte.weight`, 'ends.embedding.weight'],
        [`${layer}.norm_1.weight`, `${ours}.attentionResidual.norm.weight`],
        [`${layer}.norm_2.weight`, `${ours}.feedForwardResidual.norm.weight`],
        ...linear(`${layer}.attn.Wqkv`, `${ours}.attention.qkv`).slice(0, 1),
        ...linear(`${layer}.attn.out_proj`, `${ours}.attention.out`).slice(0, 1),
        ...linear(`${layer}.ffn.up_proj`, `${ours}.feedForward.up`).slice(0, 1),
        ...linear(`${layer}.ffn.down_proj`, `${ours}.feedForward.down`).slice(0, 1),
        [`${prefix}norm_f.weight`, 'stack.norm.weight'],
        ...head.rules,
      ],
      ties: head.ties,
    };
  },
});
