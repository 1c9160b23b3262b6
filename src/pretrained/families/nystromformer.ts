import { reshaped } from '../../nn/index.js';
import { activationNames, activationOf } from '../activations.js';
import {
  bertConfig,
  bertFields,
  bertHeads,
  bertRules,
  encoderClasses,
  headConfig,
  headMap,
  joinedMap,
  type HeadNames,
} from '../bert-like.js';
import { defineFamily } from '../family.js';
import { count, field, only, real, word } from '../fields.js';
import { wholeFrom } from '../../core/requirements.js';
import { typesOf } from '../inputs.js';

/**
 * Landmarks as many as the tokens that segments are made of are attention to all, as published. Otherwise the published code takes inputs of
 * `segment_means_seq_len` tokens alone, and without padding; here any are taken.
 */
export const nystromformer = defineFamily({
  modelType: 'nystromformer',
  title: 'Nyströmformer',
  paper: {
    authors: 'Xiong et al.',
    title: 'Nyströmformer: A Nyström-Based Algorithm for Approximating Self-Attention',
    year: 2021,
    arxiv: '2102.03902',
  },
  classes: encoderClasses('Nystromformer', { masked: 'cls.predictions.bias', sequence: 'classifier.out_proj.weight' }),
  prefix: 'nystromformer.',
  fields: {
    ...bertFields,
    vocab_size: count(30000, 2),
    hidden_act: word(activationNames, 'gelu_new'),
    max_position_embeddings: count(510),
    layer_norm_eps: real(1e-5),
    segment_means_seq_len: count(64),
    num_landmarks: count(64),
    conv_kernel_size: field<number | null>(wholeFrom(1), null),
    inv_coeff_init_option: only([false], 'the published code fails with it'),
  },
  config: (theirs, cls) => ({
    ...bertConfig({ ...theirs, max_position_embeddings: theirs.max_position_embeddings + 2 }, 2),
    mechanism: {
      name: 'nystromformer',
      options: {
        numLandmarks: theirs.num_landmarks === theirs.segment_means_seq_len ? 0 : theirs.num_landmarks,
        initial: 'original',
        convolution: theirs.conv_kernel_size ?? 0,
      },
    },
    ...headConfig(theirs, cls, { dense: activationOf(theirs.hidden_act), pooler: false }),
  }),
  map: (theirs, cls) => {
    const [heads, kernel] = [theirs.num_attention_heads, theirs.conv_kernel_size ?? 0];
    const conv = `${cls.prefix}encoder.layer.{i}.attention.self.conv.weight`;
    return joinedMap(
      [
        ...bertRules(theirs, cls),
        ...(kernel === 0
          ? []
          : [[conv, 'stack.layers.{i}.attention.kernel', reshaped([heads, 1, kernel, 1], [heads, kernel])] as const]),
      ],
      headMap(theirs, cls, {
        ...withoutPooler(bertHeads(cls)),
        dense: 'classifier.dense',
        classes: 'classifier.out_proj',
      }),
    );
  },
  inputs: { token_type_ids: typesOf },
});

const withoutPooler = ({ pooler: _, ...names }: HeadNames): HeadNames => names;
