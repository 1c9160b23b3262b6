import { describe, test } from 'vitest';
import type { EncoderDecoder } from '../../../src/models/index.js';
import { loadPretrained } from '../../../src/pretrained/index.js';
import { onEveryDevice, type OnDevice } from '../../support/devices.js';
import { goldenFolder, goldenOf, testGolden, type GoldenOptions } from '../golden.js';
import { checkGreedyPairs } from '../greedy-pairs.js';
import { plainPair } from '../pairs.js';

const goldens: readonly (readonly [name: string, options?: GoldenOptions])[] = [
  // scores without a scale
  ['t5_gated', { plain: plainPair }],
  ['switch_transformers', { plain: plainPair }],
  ['led'],
  ['led_globals'],
  ['bigbird_pegasus'],
  ['nllb_moe'],
  ['longt5_tglobal'],
];

/** Real tokens of each source. */
async function sourcesOf(folder: string): Promise<number[][]> {
  const golden = await goldenOf(folder);
  const { data, shape } = golden.get('in.input_ids')!;
  const mask = golden.get('in.attention_mask')!.data;
  const [B, L] = shape as [number, number];
  return Array.from({ length: B }, (_, b) =>
    Array.from({ length: L }, (__, i) => b * L + i).flatMap((i) => (mask[i] === 1 ? [data[i]!] : [])),
  );
}

async function checkGreedy(folder: string, { device }: OnDevice, count: number): Promise<void> {
  const { model, theirs } = await loadPretrained(folder, { device });
  const start = theirs.decoder_start_token_id as number;
  await checkGreedyPairs(model as EncoderDecoder, { device, sources: await sourcesOf(folder), start, count });
  model.dispose();
}

describe('published encoder–decoders', () => {
  onEveryDevice((on) => {
    for (const [name, options] of goldens) {
      testGolden(name, on, options);
      const folder = goldenFolder(name);
      (folder === undefined ? test.skip : test)(`${name} goes on in a session as in whole passes`, () =>
        checkGreedy(folder!, on, 6),
      );
    }
  });
});
