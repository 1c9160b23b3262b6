import { yes } from '../fields.js';
import { gatedOf, llamaLike } from '../llama-like.js';

export const llama = llamaLike({
  modelType: 'llama',
  title: 'Llama',
  paper: {
    authors: 'Touvron et al.',
    title: 'LLaMA: Open and Efficient Foundation Language Models',
    year: 2023,
    arxiv: '2302.13971',
  },
  stem: 'Llama',
  fields: { attention_bias: yes(false), mlp_bias: yes(false) },
  config: (theirs) => ({
    bias: theirs.attention_bias,
    feedForward: { ...gatedOf(theirs), ...(theirs.mlp_bias && { bias: true }) },
  }),
});
