import { describe, expect, test } from 'vitest';
import { transfoXl } from '../../../src/pretrained/families/transfo-xl.js';
import { onWebAssemblyFirst } from '../../support/devices.js';
import { testGolden } from '../golden.js';
import { headNames } from '../head-names.js';
import { plainSegments } from '../segments.js';

const small = { vocab_size: 12, n_layer: 1, d_model: 8, n_head: 2, d_head: 4, d_inner: 6, mem_len: 4, clamp_len: 3 };

describe('Transformer-XL', () => {
  onWebAssemblyFirst((on) => {
    testGolden('transfo_xl', on, { plain: plainSegments });

    test.each([
      [
        'tables and matrices of clusters',
        { cutoffs: [4, 8], div_val: 2, tie_projs: [false, true, true] },
        {
          'crit.cluster_weight': [2, 8],
          'crit.cluster_bias': [2],
          'crit.out_layers.0.weight': [4, 8],
          'crit.out_layers.1.weight': [4, 4],
          'crit.out_layers.2.weight': [4, 2],
          'crit.out_layers.0.bias': [4],
          'crit.out_layers.1.bias': [4],
          'crit.out_layers.2.bias': [4],
          'crit.out_projs.0': [8, 8],
          'crit.out_projs.1': [8, 4],
          'crit.out_projs.2': [8, 2],
        },
      ],
      [
        'one table',
        { cutoffs: [4], div_val: 1, tie_projs: [true, true], untie_r: false },
        {
          'crit.cluster_weight': [1, 8],
          'crit.cluster_bias': [1],
          'crit.out_layers.0.weight': [12, 8],
          'crit.out_layers.0.bias': [12],
        },
      ],
    ])('%s: the head is the published one', (_, own, heads) => {
      expect(headNames(transfoXl, 'TransfoXLLMHeadModel', { ...small, ...own }, on)).toEqual(heads);
    });
  });
});
