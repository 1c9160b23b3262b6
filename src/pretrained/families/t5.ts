import { t5Like } from '../t5-like.js';

export const t5 = t5Like({
  modelType: ['t5', 'mt5'],
  title: 'T5',
  paper: {
    authors: 'Raffel et al.',
    title: 'Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer',
    year: 2019,
    arxiv: '1910.10683',
  },
  stem: ['T5', 'MT5'],
  fields: {},
});
