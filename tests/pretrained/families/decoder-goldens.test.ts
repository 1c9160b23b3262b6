import { describe, test } from 'vitest';
import { loadPretrained } from '../../../src/pretrained/index.js';
import { onEveryDevice } from '../../support/devices.js';
import { goldenFolder, goldenOf, testGolden } from '../golden.js';
import { checkGreedy } from '../greedy.js';

const names = [
  'gpt2',
  'gpt_neo_local',
  'llama_gqa',
  'llama_rope_yarn',
  'mistral_swa',
  'bloom_alibi',
  'mixtral',
  'olmoe',
  'qwen2_moe',
];

describe('published decoders', () => {
  onEveryDevice((on) => {
    for (const name of names) {
      testGolden(name, on);
      const folder = goldenFolder(name);
      (folder === undefined ? test.skip : test)(`${name} goes on in a session as in whole passes`, async () => {
        const { model } = await loadPretrained(folder!, { device: on.device });
        const { data } = (await goldenOf(folder!)).get('in.input_ids')!;
        await checkGreedy(model, Array.from(data).slice(0, 9), 12, on.device);
        model.dispose();
      });
    }
  });
});
