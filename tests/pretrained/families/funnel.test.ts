import { describe, expect, test } from 'vitest';
import { funnel } from '../../../src/pretrained/families/funnel.js';
import { onWebAssemblyFirst } from '../../support/devices.js';
import { testGolden } from '../golden.js';
import { headNames } from '../head-names.js';

const small = {
  vocab_size: 9,
  block_sizes: [1, 1],
  num_decoder_layers: 1,
  d_model: 8,
  n_head: 2,
  d_head: 4,
  d_inner: 6,
};
const labels = { id2label: { 0: 'A', 1: 'B', 2: 'C' } };

describe('Funnel', () => {
  onWebAssemblyFirst((on) => {
    testGolden('funnel', on);
    testGolden('funnel_base', on);

    test.each([
      ['FunnelForMaskedLM', { 'lm_head.weight': [9, 8], 'lm_head.bias': [9] }],
      ['FunnelForPreTraining', {}],
      ['FunnelForQuestionAnswering', { 'qa_outputs.weight': [2, 8], 'qa_outputs.bias': [2] }],
      [
        'FunnelForSequenceClassification',
        {
          'classifier.linear_hidden.weight': [8, 8],
          'classifier.linear_hidden.bias': [8],
          'classifier.linear_out.weight': [3, 8],
          'classifier.linear_out.bias': [3],
        },
      ],
      ['FunnelForTokenClassification', { 'classifier.weight': [3, 8], 'classifier.bias': [3] }],
    ])('%s has the published head', (name, heads) => {
      expect(headNames(funnel, name, { ...small, ...labels }, on)).toEqual(heads);
    });
  });
});
