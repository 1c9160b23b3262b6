import {
  bertConfig,
  bertFields,
  bertHeads,
  bertRules,
  causalField,
  encoderClasses,
  headConfig,
  headMap,
  joinedMap,
} from '../bert-like.js';
import { defineFamily } from '../family.js';
import { typesOf } from '../inputs.js';

export const bert = defineFamily({
  modelType: 'bert',
  title: 'BERT',
  paper: {
    authors: 'Devlin et al.',
    title: 'BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding',
    year: 2018,
    arxiv: '1810.04805',
  },
  classes: {
    BertLMHeadModel: { task: 'generate' },
    BertForPreTraining: { task: 'fill-mask', mark: 'cls.seq_relationship.weight' },
    ...encoderClasses('Bert', { masked: 'cls.predictions.bias', sequence: 'classifier.weight' }),
  },
  prefix: 'bert.',
  fields: { ...bertFields, ...causalField },
  config: (theirs, cls) => ({ ...bertConfig(theirs), ...headConfig(theirs, cls, { dense: 'tanh' }) }),
  map: (theirs, cls) => joinedMap(bertRules(theirs, cls), headMap(theirs, cls, bertHeads(cls))),
  inputs: { token_type_ids: typesOf },
});
