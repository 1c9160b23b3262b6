import { describe, expect, test } from 'vitest';
import type { EncoderDecoder } from '../../../src/models/index.js';
import { argmax, slice } from '../../../src/ops/index.js';
import { loadPretrained } from '../../../src/pretrained/index.js';
import { noGradient, scope } from '../../../src/tensor/index.js';
import { tokensOf } from '../../models/check.js';
import { onEveryDevice, type OnDevice } from '../../support/devices.js';
import { goldenFolder, goldenOf, testGolden, type GoldenOptions } from '../golden.js';
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

/** Tokens that a session goes on with after sources, each the likeliest, are those of passes over all of it. */
async function checkGreedy(folder: string, { device }: OnDevice, count: number): Promise<void> {
  const loaded = await loadPretrained(folder, { device });
  const model = loaded.model as EncoderDecoder;
  const sources = await sourcesOf(folder);
  const start = loaded.theirs.decoder_start_token_id as number;
  const session = model.session({ maxLength: 1 + count, rows: sources.length, sources });
  const byStep = sources.map((): number[] => [start]);
  for (let i = 0; i < count; i++) {
    const next = scope(() => argmax(session.step(byStep.map((text) => text.slice(-1))), { axis: 1 }));
    (await next.data()).forEach((token, row) => byStep[row]!.push(token));
    next.dispose();
  }
  session.dispose();
  for (const [row, source] of sources.entries()) {
    const whole = [start];
    for (let i = 0; i < count; i++) {
      const next = scope(() =>
        noGradient(() => {
          const logits = model.logits(tokensOf(device, source), tokensOf(device, whole));
          return argmax(slice(logits, { axis: 1, start: -1 }), { axis: 2 });
        }),
      );
      whole.push((await next.data())[0]!);
      next.dispose();
    }
    expect(byStep[row], `row ${row}`).toEqual(whole);
  }
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
