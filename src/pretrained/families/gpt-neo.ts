import { OptionError } from '../../core/errors.js';
import { listOf, oneOf } from '../../core/requirements.js';
import { activationNames, activationOf } from '../activations.js';
import { defineFamily } from '../family.js';
import { count, field, only, real, word } from '../fields.js';
import { ours } from '../llama-like.js';
import { classesOf, headOf, headRules } from '../decoder-heads.js';
import { apart, linear } from '../projections.js';
import { layersAs, seen } from '../windows.js';

type Reach = 'global' | 'local';
const reaches: readonly Reach[] = ['global', 'local'];
type Pattern = readonly [kinds: readonly Reach[], times: number];

/** Layers that see all and layers that see a window take turns; scores have no scale. */
export const gptNeo = defineFamily({
  modelType: 'gpt_neo',
  title: 'GPT-Neo',
  paper: {
    authors: 'Black et al.',
    title: 'GPT-Neo: Large Scale Autoregressive Language Modeling with Mesh-Tensorflow',
    year: 2021,
  },
  classes: classesOf('GPTNeo', { tokens: 'classifier' }),
  prefix: 'transformer.',
  fields: {
    vocab_size: count(50257, 2),
    max_position_embeddings: count(2048),
    hidden_size: count(2048),
    num_layers: count(24),
    num_heads: count(16),
    intermediate_size: count(null as number | null),
    attention_types: field<readonly Pattern[]>({ must: 'a list of [kinds, times]', holds: Array.isArray }, [
      [['global', 'local'], 12],
    ]),
    attention_layers: field<readonly Reach[] | null>(listOf('kinds of attention', oneOf(reaches)), null),
    window_size: count(256),
    activation_function: word(activationNames, 'gelu_new'),
    layer_norm_epsilon: real(1e-5),
    add_cross_attention: only([false], 'its layers read no other stream'),
  },
  config: (theirs, cls) => {
    const kinds =
      theirs.attention_layers ??
      theirs.attention_types.flatMap(([each, times]) => Array.from({ length: times }, () => each).flat());
    if (kinds.length !== theirs.num_layers) {
      throw new OptionError(`GPT-Neo: attention_types must be of ${theirs.num_layers} layers; got ${kinds.length}.`);
    }
    return {
      ...layersAs(kinds.map((kind) => seen(kind === 'local' ? theirs.window_size : null))),
      vocabulary: theirs.vocab_size,
      length: theirs.max_position_embeddings,
      width: theirs.hidden_size,
      heads: theirs.num_heads,
      bias: 'out',
      ...headOf(theirs, cls),
      position: 'learned',
      attention: { scale: 1 },
      feedForward: {
        hidden: theirs.intermediate_size ?? 4 * theirs.hidden_size,
        activation: activationOf(theirs.activation_function),
      },
      norm: { kind: 'layer', epsilon: theirs.layer_norm_epsilon },
    };
  },
  map: (theirs, cls, { heads, kvHeads, headDim }) => {
    const { prefix } = cls;
    const layer = `${prefix}h.{i}`;
    const attention = `${layer}.attn.attention`;
    const head = headRules(theirs, cls, { table: `${prefix}wte.weight`, tokens: 'classifier' });
    return {
      rules: [
        [`${prefix}wte.weight`, 'ends.embedding.weight'],
        [`${prefix}wpe.weight`, 'stack.positions.table'],
        [`${layer}.ln_1.{*}`, `${ours}.attentionResidual.norm.{*}`],
        ...apart(attention, `${ours}.attention`, { heads, kvHeads, headDim }).slice(0, 1),
        ...linear(`${attention}.out_proj`, `${ours}.attention.out`),
        [`${layer}.ln_2.{*}`, `${ours}.feedForwardResidual.norm.{*}`],
        ...linear(`${layer}.mlp.c_fc`, `${ours}.feedForward.up`),
        ...linear(`${layer}.mlp.c_proj`, `${ours}.feedForward.down`),
        [`${prefix}ln_f.{*}`, 'stack.norm.{*}'],
        ...head.rules,
      ],
      ties: head.ties,
      ignored: [`${attention}.bias`, `${attention}.masked_bias`],
    };
  },
});
