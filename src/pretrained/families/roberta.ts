import {
  bertConfig,
  bertFields,
  bertRules,
  causalField,
  encoderClasses,
  headConfig,
  headMap,
  joinedMap,
  paddedPositions,
  robertaHeads,
} from '../bert-like.js';
import { defineFamily } from '../family.js';
import { typesOf } from '../inputs.js';

export const roberta = defineFamily({
  modelType: ['roberta', 'xlm-roberta', 'camembert'],
  title: 'RoBERTa',
  paper: {
    authors: 'Liu et al.',
    title: 'RoBERTa: A Robustly Optimized BERT Pretraining Approach',
    year: 2019,
    arxiv: '1907.11692',
  },
  classes: {
    RobertaForCausalLM: { task: 'generate' },
    XLMRobertaForCausalLM: { task: 'generate' },
    CamembertForCausalLM: { task: 'generate' },
    ...encoderClasses('Roberta', { masked: 'lm_head.bias', sequence: 'classifier.out_proj.weight' }),
    ...encoderClasses('XLMRoberta', { masked: 'lm_head.bias', sequence: 'classifier.out_proj.weight' }),
    ...encoderClasses('Camembert', { masked: 'lm_head.bias', sequence: 'classifier.out_proj.weight' }),
  },
  prefix: 'roberta.',
  fields: { ...bertFields, ...causalField },
  config: (theirs, cls) => ({
    ...bertConfig(theirs, (theirs.pad_token_id ?? 1) + 1),
    ...paddedPositions(theirs),
    ...headConfig(theirs, cls, { dense: 'tanh' }),
  }),
  map: (theirs, cls) => joinedMap(bertRules(theirs, cls), headMap(theirs, cls, robertaHeads(cls))),
  inputs: { token_type_ids: typesOf },
});
