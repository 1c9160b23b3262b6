import { describe, expect, test } from 'vitest';
import { funnel } from '../../../src/pretrained/families/funnel.js';
import { onWebAssemblyFirst } from '../../support/devices.js';
import { testGolden } from '../golden.js';
import { runPretrained } from '../../../src/pretrained/index.js';
import { disposeAll } from '../../../src/tensor/index.js';
import { expectSameBits } from '../../support/compare.js';
import { fileShapes, headNames } from '../head-names.js';
import { loadMade, weightsOf } from '../made.js';

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

    test('layers that are passed several times are those of a file that has them several times', async () => {
      const inputs = { input_ids: { data: [1, 5, 2, 7, 3, 8, 4, 6], shape: [1, 8] } };
      const again = { ...small, model_type: 'funnel', architectures: ['FunnelModel'], block_repeats: [2, 3] };
      const names = (file: string): string => file.replace(/(blocks\.\d)\.\d/, '$1.0');
      const others = { ...again, block_sizes: [2, 3], block_repeats: [1, 1] };
      const shapes = fileShapes(funnel, 'FunnelModel', others, on);
      const all = weightsOf(shapes);
      // every layer of a block as its first
      const copied = new Map([...all].map(([name]) => [name, all.get(names(name))!]));
      const first = new Map([...all].filter(([name]) => names(name) === name));
      const [several, repeated] = [await loadMade(others, copied, on.device), await loadMade(again, first, on.device)];
      const [want, got] = [runPretrained(several, inputs), runPretrained(repeated, inputs)];
      expect(Object.keys(got)).toEqual(Object.keys(want));
      for (const [name, x] of Object.entries(want)) expectSameBits(name, await got[name]!.data(), await x.data());
      const back = repeated.map.toTheirs(repeated.model.stateDict());
      expect([...back.keys()].sort()).toEqual([...first.keys()].sort());
      for (const [name, x] of back) expect(await x.data(), name).toEqual(first.get(name)!.data);
      disposeAll([want, got, back]);
      several.model.dispose();
      repeated.model.dispose();
      await expect(loadMade({ ...again, block_repeats: [2] }, first, on.device)).rejects.toThrow(
        'as many as block_sizes',
      );
    });

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
