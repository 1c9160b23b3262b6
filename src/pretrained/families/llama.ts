import { yes } from '../fields.js';
import { llamaConfig, llamaLike } from '../llama-like.js';

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
  config: ({ attention_bias: bias, mlp_bias }) => ({ bias, ...(mlp_bias && { feedForward: { bias: true } }) }),
});
