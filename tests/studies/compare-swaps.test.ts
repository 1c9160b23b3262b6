// of studies/{adapt,swap-score}

import { expect, test } from 'vitest';
import { mechanism as find, mechanisms } from '../../src/attention/index.js';
import { OptionError } from '../../src/core/errors.js';
import { openCorpus } from '../../src/data/index.js';
import { createModel, readConfig, type LanguageModel, type ModelConfig } from '../../src/models/index.js';
import { compareSwaps, swapSet } from '../../src/studies/compare-swaps.js';
import { maskedScores } from '../../src/studies/masked.js';
import { variant } from '../../src/studies/mechanisms.js';
import { perplexity } from '../../src/studies/perplexity.js';
import { swapMechanism } from '../../src/studies/swap.js';
import { fileOf } from '../data/folder.js';
import { onEveryDevice, type OnDevice } from '../support/devices.js';

const source = openCorpus([
  fileOf('It is a truth universally acknowledged, that a single man in possession. '.repeat(3)),
]);
const base = { length: 8, layers: 2, width: 16, heads: 2 };
const named = (name: string, options = {}) => variant(find(name), options);
const options = { lengths: [8], maxBytes: 64, seed: 3 };

function trained(on: OnDevice, own: object = {}): { readonly model: LanguageModel; readonly config: ModelConfig } {
  const config = readConfig({ ...base, ...own });
  return { config, model: createModel(config).initialise({ device: on.device, seed: 4 }) };
}

onEveryDevice((on) => {
  test('each mechanism is scored as if it were alone, on the same windows', async () => {
    const { model, config } = trained(on);
    const variants = [
      named('sliding-window', { radius: 1 }),
      named('synthesizer'),
      named('sliding-window', { radius: 7 }),
    ];
    const found = await compareSwaps(on.device, { model, config }, source, { ...options, variants });
    const alone = async (one: LanguageModel): Promise<{ readonly bitsPerByte: number; readonly sums: number[] }> => {
      const sums: number[] = [];
      const onWindow = (losses: ArrayLike<number>): void =>
        void sums.push(Array.from(losses).reduce((a, b) => a + b, 0));
      const window = { length: 8, mode: 'separate', maxTokens: 64 } as const;
      const { bitsPerByte } = await perplexity({ device: on.device, model: one, source, ...window, onWindow });
      return { bitsPerByte, sums };
    };
    const own = await alone(model);
    expect(found.rows.map(({ name }) => name).sort()).toEqual(['flash', ...variants.map(({ name }) => name)].sort());
    for (const { name, mechanism, options: settings } of variants) {
      const swapped = swapMechanism(model, config, { device: on.device, mechanism, settings, seed: options.seed });
      const { bitsPerByte, sums } = await alone(swapped.model);
      const row = found.rows.find((one) => one.name === name)!;
      expect(row).toMatchObject({ trained: false, length: 8, bitsPerByte, windows: 8, tokens: 64 });
      expect(row).toMatchObject({ drawn: swapped.drawn, unused: swapped.unused, perplexityPerByte: 2 ** bitsPerByte });
      expect(row.change).toBeCloseTo(bitsPerByte - own.bitsPerByte, 12);
      // the standard error of a mean of 8 differences, of 8 bytes each
      const each = sums.map((sum, i) => (sum - own.sums[i]!) / 8 / Math.LN2);
      const mean = each.reduce((a, b) => a + b) / 8;
      const variance = each.reduce((sum, x) => sum + (x - mean) ** 2, 0) / 7;
      expect(row.changeError).toBeCloseTo(Math.sqrt(variance / 8), 12);
      swapped.model.dispose();
    }
    const by = (name: string) => found.rows.find((row) => row.name === name)!;
    expect(by('flash')).toMatchObject({
      trained: true,
      change: 0,
      changeError: 0,
      drawn: [],
      bitsPerByte: own.bitsPerByte,
    });
    expect(by('sliding-window:radius=7').change).toBeCloseTo(0, 5);
    expect(by('sliding-window:radius=1').change).not.toBeCloseTo(0, 3);
    expect(by('synthesizer').drawn.length).toBeGreaterThan(0);
    model.dispose();
  });

  test('the best first at each length, and what cannot be swapped in with its reason', async () => {
    const { model, config } = trained(on, { position: 'alibi' });
    const variants = ['linformer', 'performer', 'strided', 'sliding-window', 'flash'].map((name) => named(name));
    const more = { lengths: [16, 4, 16], maxBytes: 8, variants, seed: 0 };
    const found = await compareSwaps(on.device, { model, config }, source, more);
    expect(found.lengths).toEqual([4, 16]);
    expect(found.rows.map(({ length, windows }) => [length, windows])).toEqual([
      ...Array.from({ length: 3 }, () => [4, 2]),
      // a window at least
      ...Array.from({ length: 3 }, () => [16, 1]),
    ]);
    for (const length of [4, 16]) {
      const bits = found.rows.filter((row) => row.length === length).map(({ bitsPerByte }) => bitsPerByte);
      expect(bits).toEqual([...bits].sort((a, b) => a - b));
    }
    expect(found.refused).toEqual([
      { name: 'linformer', length: null, why: 'no causal form, so it would read the byte it is to predict' },
      { name: 'performer', length: null, why: expect.stringMatching(/^performer takes no change of scores, .*[^.]$/) },
    ]);
    expect(JSON.parse(JSON.stringify(found))).toEqual(found);
    model.dispose();
  });

  test('an encoder: masked bytes, the same for all; what sees one side only is refused; and after adaptation', async () => {
    const { model, config } = trained(on, { kind: 'encoder', vocabulary: 257, outputs: 256, length: 16 });
    const variants = [
      named('sliding-window', { radius: 1 }),
      named('linformer', { projectedLength: 4 }),
      named('retention'),
    ];
    const more = { lengths: [16], maxBytes: 64, variants, seed: 5, adapt: { steps: 3, source } };
    const found = await compareSwaps(on.device, { model, config }, source, more);
    expect(found).toMatchObject({ masked: true, adaptedSteps: 3 });
    expect(found.refused).toEqual([
      { name: 'retention', length: null, why: expect.stringContaining('what is before a byte only') },
    ]);
    const own = await maskedScores({ device: on.device, model, source, length: 16, maxTokens: 64, seed: 5 });
    const flash = found.rows.find((row) => row.trained)!;
    expect(flash).toMatchObject({
      bitsPerByte: own.bitsPerByte,
      accuracy: own.accuracy,
      change: 0,
      tokens: own.tokens,
    });
    expect(flash.adapted!.bitsPerByte).not.toBe(flash.bitsPerByte);
    for (const { name, adapted, change, bitsPerByte } of found.rows) {
      expect(change).toBeCloseTo(bitsPerByte - flash.bitsPerByte, 12);
      expect(adapted!.change).toBeCloseTo(adapted!.bitsPerByte - flash.adapted!.bitsPerByte, 12);
      expect(name === 'flash' || bitsPerByte !== flash.bitsPerByte).toBe(true);
    }
    model.dispose();
  });

  test('no mechanism is begun when the time is over, and the rows say so', async () => {
    const { model, config } = trained(on);
    const variants = [named('sliding-window', { radius: 1 })];
    const found = await compareSwaps(on.device, { model, config }, source, { ...options, variants, seconds: 1e-9 });
    expect(found.rows.map(({ name }) => name)).toEqual(['flash']);
    expect(found.refused).toEqual([
      { name: variants[0]!.name, length: null, why: expect.stringContaining('no time left') },
    ]);
    model.dispose();
  });

  test('the default set of a small model: each is in the table or refused', async () => {
    const { model, config } = trained(on, { length: 64 });
    const variants = swapSet(64);
    const found = await compareSwaps(on.device, { model, config }, source, {
      ...options,
      lengths: [64],
      variants,
    });
    const names = [...found.rows, ...found.refused].map(({ name }) => name);
    expect([...names].sort()).toEqual(variants.map(({ name }) => name).sort());
    const causal = (name: string): boolean =>
      mechanisms.find((one) => one.name === name.split(':')[0])!.definition.supports.causal !== false;
    expect(found.refused.filter(({ name }) => causal(name))).toEqual([]);
    model.dispose();
  });

  test('lengths that the text or the model does not have', async () => {
    const { model, config } = trained(on, { position: 'learned' });
    const run = compareSwaps(on.device, { model, config }, source, {
      ...options,
      variants: [],
      lengths: [9, 4000],
    });
    await expect(run).rejects.toThrow(OptionError);
    await expect(run).rejects.toThrow(
      /^compare: a window of length 4000 takes 4001 bytes, the text has 219: .*; the model learned 8 positions; take lengths of at most that\.$/,
    );
    const none = compareSwaps(on.device, { model, config }, source, { ...options, variants: [], lengths: [] });
    await expect(none).rejects.toThrow('at least one length');
    model.dispose();
  });
});
