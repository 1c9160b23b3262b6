// of data/masked-batches, studies/{classification,objective}

import { expect, test } from 'vitest';
import { NumericsError, OptionError } from '../../src/core/errors.js';
import { maskTokens, type TokenSource } from '../../src/data/index.js';
import { readConfig, Transformer } from '../../src/models/index.js';
import { maskedScores, type MaskedOptions } from '../../src/studies/masked.js';
import { noGradient, scope, tensor } from '../../src/tensor/index.js';
import { budgetOf, expectClose } from '../support/compare.js';
import { onEveryDevice } from '../support/devices.js';

const OUTPUTS = 11;
const tokens = Int32Array.from({ length: 100 }, (_, i) => (i * i + 3 * (i >> 2)) % OUTPUTS);
const source: TokenSource = {
  size: tokens.length,
  vocabulary: OUTPUTS,
  unit: 'byte',
  bytesPerToken: 2,
  documents: [{ path: '', start: 0, length: tokens.length }],
  documentAt: () => 0,
  read: (position, into) => into.set(tokens.subarray(position, position + into.length)),
};
const config = readConfig({
  kind: 'encoder',
  vocabulary: OUTPUTS + 1,
  outputs: OUTPUTS,
  length: 12,
  layers: 1,
  width: 8,
  heads: 2,
});

onEveryDevice((on) => {
  const made = () => new Transformer(config).initialise({ device: on.device, seed: 3 });
  const score = (model: Transformer, options: Partial<MaskedOptions> = {}) =>
    maskedScores({ device: on.device, model, source, length: 12, ...options });

  /** Losses and hits of one window, in float64 over the logits of the model. */
  async function direct(model: Transformer, start: number, seed = 0, [before, behind]: readonly number[][] = [[], []]) {
    const window = tokens.slice(start, start + 12 - before!.length - behind!.length);
    const purpose = `data.mask.at.${start}`;
    const masked = maskTokens(window, { outputs: OUTPUTS, random: 0, kept: 0, share: 0.3, span: 2, seed, purpose });
    const given = Int32Array.from([...before!, ...masked.tokens, ...behind!]);
    const logits = scope(() => noGradient(() => model.logits(tensor(given, [1, 12], { device: on.device }))));
    const data = [...(await logits.data())];
    logits.dispose();
    const exact: number[] = [];
    const plain: number[] = [];
    let hits = 0;
    masked.places.forEach((place, i) => {
      const row = data.slice((place + before!.length) * OUTPUTS, (place + before!.length + 1) * OUTPUTS);
      const most = Math.max(...row);
      const target = row[masked.targets[i]!]!;
      const { fround } = Math;
      exact.push(most + Math.log(row.reduce((sum, x) => sum + Math.exp(x - most), 0)) - target);
      const sum = row.reduce((total, x) => fround(total + fround(Math.exp(fround(x - most)))), 0);
      plain.push(fround(fround(most + fround(Math.log(sum))) - target));
      hits += Number(target === most);
    });
    return { exact, plain, hits };
  }

  test('losses, hits and their means are those of the masked tokens of every window', async () => {
    const model = made();
    const windows: { readonly losses: ArrayLike<number>; readonly hits: number }[] = [];
    const progress: number[] = [];
    const found = await score(model, {
      masking: { share: 0.3, span: 2 },
      onWindow: (window) => windows.push({ ...window, losses: Array.from(window.losses) }),
      onProgress: (done) => progress.push(done),
    });
    expect(windows).toHaveLength(8);
    expect(progress.at(-1)).toBe(8);
    const wants = await Promise.all(windows.map((_, i) => direct(model, 12 * i)));
    windows.forEach((window, i) => {
      const { exact, plain, hits } = wants[i]!;
      expect(window.hits).toBe(hits);
      expectClose(`window ${i}`, window.losses, exact, { budget: budgetOf(exact, plain) });
    });
    const sum = windows.reduce((total, { losses }) => total + Array.from(losses).reduce((a, b) => a + b, 0), 0);
    const hits = wants.reduce((total, one) => total + one.hits, 0);
    expect(found).toMatchObject({ length: 12, tokens: 32, windows: 8, accuracy: hits / 32 });
    expect(found.natsPerToken).toBeCloseTo(sum / 32, 12);
    // two bytes a token
    expect(found.bitsPerByte).toBeCloseTo(sum / 32 / Math.LN2 / 2, 12);
    model.dispose();
  });

  test('special tokens stand around each window, and are never hidden', async () => {
    const model = made();
    const windows: (readonly number[])[] = [];
    const found = await score(model, {
      around: { start: Int32Array.of(7), end: Int32Array.of(9, 9) },
      masking: { share: 0.3, span: 2 },
      onWindow: ({ losses }) => windows.push(Array.from(losses)),
    });
    expect(found).toMatchObject({ length: 12, windows: 11 });
    const wants = await Promise.all(windows.map((_, i) => direct(model, 9 * i, 0, [[7], [9, 9]])));
    windows.forEach((losses, i) => {
      const { exact, plain } = wants[i]!;
      expectClose(`window ${i}`, losses, exact, { budget: budgetOf(exact, plain) });
    });
    const none = { start: new Int32Array(6), end: new Int32Array(6) };
    await expect(score(model, { around: none })).rejects.toThrow('leave nothing; take at least 13');
    model.dispose();
  });

  test('fewer windows are among all, with the same masks; other seeds have others', async () => {
    const model = made();
    const losses = async (options: Partial<MaskedOptions>) => {
      const all: string[] = [];
      await score(model, { ...options, onWindow: (window) => all.push(String(Array.from(window.losses))) });
      return all;
    };
    const [all, few, other] = [await losses({}), await losses({ maxTokens: 36 }), await losses({ seed: 1 })];
    expect(few).toHaveLength(3);
    expect(few.every((one) => all.includes(one))).toBe(true);
    expect(other.some((one) => all.includes(one))).toBe(false);
    model.dispose();
  });

  test('refusals', async () => {
    const plain = new Transformer(readConfig({ ...config, vocabulary: OUTPUTS })).initialise({
      device: on.device,
      seed: 1,
    });
    await expect(score(plain)).rejects.toThrow(OptionError);
    await expect(score(plain)).rejects.toThrow(/predicts 11 and knows 11. Train one with objective masked/);
    plain.dispose();
    const model = made();
    await expect(score(model, { length: 100 })).rejects.toThrow(/takes 101 bytes, the text has 100/);
    await expect(score(model, { seed: -1 })).rejects.toThrow(/seed must be/);
    scope(() => {
      const nan = tensor(new Float32Array(12 * 8).fill(NaN), [12, 8], { device: on.device });
      model.load(new Map([...model.stateDict()].map(([name, x]) => [name, name.includes('embedding') ? nan : x])));
    });
    await expect(score(model)).rejects.toThrow(NumericsError);
    model.dispose();
  });
});
