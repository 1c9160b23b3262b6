import { count, yes } from '../fields.js';
import { layersByType, llamaLike } from '../llama-like.js';
import { qwenTypes, qwenWindows } from './qwen2.js';

export const qwen3 = llamaLike({
  modelType: 'qwen3',
  title: 'Qwen3',
  paper: { authors: 'Yang et al.', title: 'Qwen3 Technical Report', year: 2025, arxiv: '2505.09388' },
  stem: 'Qwen3',
  fields: { ...qwenWindows, head_dim: count(128), attention_bias: yes(false) },
  config: (theirs) => ({
    bias: theirs.attention_bias,
    attention: { queryKeyNorm: 'heads' },
    ...layersByType(qwenTypes(theirs), theirs.sliding_window),
  }),
});
