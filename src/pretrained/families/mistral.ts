import { llamaLike, windowFields } from '../llama-like.js';
import { seen } from '../windows.js';

export const mistral = llamaLike({
  modelType: 'mistral',
  title: 'Mistral',
  paper: { authors: 'Jiang et al.', title: 'Mistral 7B', year: 2023, arxiv: '2310.06825' },
  stem: 'Mistral',
  fields: { sliding_window: windowFields.sliding_window },
  config: ({ sliding_window }) => seen(sliding_window),
});
