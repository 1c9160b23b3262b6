import { describe, expect, test } from 'vitest';
import { xlnet } from '../../../src/pretrained/families/xlnet.js';
import { onWebAssemblyFirst } from '../../support/devices.js';
import { testGolden } from '../golden.js';
import { headNames } from '../head-names.js';
import { plainSegments } from '../segments.js';

const small = { vocab_size: 9, n_layer: 1, d_model: 8, n_head: 2, d_inner: 6, mem_len: 4 };
const labels = { id2label: { 0: 'A', 1: 'B', 2: 'C' } };

describe('XLNet', () => {
  onWebAssemblyFirst((on) => {
    testGolden('xlnet_mems', on, { plain: plainSegments });

    test.each([
      ['XLNetLMHeadModel', { 'lm_loss.weight': [9, 8], 'lm_loss.bias': [9] }],
      [
        'XLNetForSequenceClassification',
        {
          'sequence_summary.summary.weight': [8, 8],
          'sequence_summary.summary.bias': [8],
          'logits_proj.weight': [3, 8],
          'logits_proj.bias': [3],
        },
      ],
      ['XLNetForTokenClassification', { 'classifier.weight': [3, 8], 'classifier.bias': [3] }],
      ['XLNetForQuestionAnsweringSimple', { 'qa_outputs.weight': [2, 8], 'qa_outputs.bias': [2] }],
    ])('%s has the published head', (name, heads) => {
      expect(headNames(xlnet, name, { ...small, ...labels }, on)).toEqual(heads);
    });
  });
});
