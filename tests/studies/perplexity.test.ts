import { describe, expect, test } from 'vitest';
import { OptionError } from '../../src/core/errors.js';
import type { TokenSource } from '../../src/data/index.js';
import type { LanguageModel, Loss, TokenBatch } from '../../src/models/index.js';
import { readConfig, Transformer } from '../../src/models/index.js';
import { Module } from '../../src/nn/index.js';
import { disposeAll, scope, tensor, type Tensor } from '../../src/tensor/index.js';
import { LossMeter } from '../../src/studies/loss-meter.js';
import { perplexity } from '../../src/studies/perplexity.js';
import { windowsOf } from '../../src/studies/windows.js';
import { budgetOf, expectClose } from '../support/compare.js';
import { onEveryDevice } from '../support/devices.js';
import { Toy } from '../train/support/toy.js';

const VOCABULARY = 11;

/** Tokens that follow no rule a small model knows. */
function sourceOf(size: number, bytesPerToken = 1): TokenSource & { readonly tokens: Int32Array } {
  const tokens = Int32Array.from({ length: size }, (_, i) => (i * i + 3 * (i >> 2)) % VOCABULARY);
  return {
    tokens,
    size,
    vocabulary: VOCABULARY,
    unit: 'byte',
    bytesPerToken,
    documents: [{ path: '', start: 0, length: size }],
    documentAt: () => 0,
    read: (position, into) => into.set(tokens.subarray(position, position + into.length)),
  };
}

/** Its loss is 1/(i + 1) at place i of a window, whatever is there. */
class Places extends Module implements LanguageModel {
  readonly vocabulary = VOCABULARY;
  readonly length = 4;

  loss({ tokens }: TokenBatch): Loss {
    const [B, L] = tokens.shape as [number, number];
    const data = Float32Array.from({ length: B * L }, (_, i) => 1 / ((i % L) + 1));
    return { loss: tensor(data, [B, L], { device: tokens.device }) };
  }
}

/** −log p of every target of a window, in float64 over the logits of the model, and in plain float32. */
async function direct(
  model: Transformer,
  { tokens }: { readonly tokens: Int32Array },
  start: number,
  length: number,
): Promise<{ readonly exact: number[]; readonly plain: number[] }> {
  const device = model.ends.embedding.namedParameters().get('weight')!.value.device;
  const logits = scope(() => model.logits(tensor(tokens.slice(start, start + length), [1, length], { device })));
  const data = await logits.data();
  logits.dispose();
  const round = Math.fround;
  const [exact, plain]: [number[], number[]] = [[], []];
  for (let i = 0; i < length; i++) {
    const row = [...data.subarray(i * VOCABULARY, (i + 1) * VOCABULARY)];
    const target = row[tokens[start + i + 1]!]!;
    const most = Math.max(...row);
    exact.push(most + Math.log(row.reduce((sum, x) => sum + Math.exp(x - most), 0)) - target);
    const sum = row.reduce((total, x) => round(total + round(Math.exp(round(x - most)))), 0);
    plain.push(round(round(most + round(Math.log(sum))) - target));
  }
  return { exact, plain };
}

onEveryDevice((on) => {
  const transformer = (): Transformer =>
    new Transformer(
      readConfig({ vocabulary: VOCABULARY, length: 6, layers: 1, width: 8, heads: 2, position: 'sinusoidal' }),
    ).initialise({ device: on.device, seed: 3 });

  test.each([
    ['separate', 5, undefined],
    ['separate', 12, undefined],
    ['sliding', 6, 1],
    ['sliding', 6, 4],
    ['sliding', 9, undefined],
    ['sliding', 7, 7],
  ] as const)(
    '%s windows of %d by %s: the mean of −log p, computed one window at a time',
    async (mode, length, stride) => {
      const model = transformer();
      const source = sourceOf(41);
      const { list } = windowsOf(source, { length, mode, stride });
      const [exact, plain]: [number[], number[]] = [[], []];
      for (const { start, scores } of list) {
        const one = await direct(model, source, start, length);
        exact.push(...one.exact.slice(length - scores));
        plain.push(...one.plain.slice(length - scores));
      }
      const mean = (of: readonly number[]): number => of.reduce((sum, x) => sum + x, 0) / of.length;
      const found = await perplexity({ device: on.device, model, source, length, mode, stride });
      expect(found).toMatchObject({ tokens: exact.length, windows: list.length, mode, length, memory: false });
      // the mean of numbers is no farther off than the worst of them
      expectClose('nats', [found.natsPerToken], [mean(exact)], { budget: budgetOf(exact, plain) });
      model.dispose();
    },
  );

  test('a memory is carried from window to window, and sliding windows are refused', async () => {
    const model = new Toy({ vocabulary: VOCABULARY, memory: true }).initialise({ device: on.device, seed: 2 });
    const source = sourceOf(40);
    const call = { device: on.device, model, source, length: 6, mode: 'separate' } as const;
    const found = await perplexity(call);
    expect(found).toMatchObject({ memory: true, tokens: 36, windows: 6 });
    const losses: number[] = [];
    let state: Loss['state'];
    for (let start = 0; start < 36; start += 6) {
      const part = (by: number): Tensor =>
        tensor(source.tokens.slice(start + by, start + by + 6), [1, 6], { device: on.device });
      const [tokens, targets] = [part(0), part(1)];
      const next = model.loss({ tokens, targets }, { reduction: 'none', state });
      losses.push(...(await next.loss.data()));
      disposeAll([tokens, targets, next.loss, state]);
      state = next.state;
    }
    disposeAll(state);
    expect(found.natsPerToken).toBe(losses.reduce((sum, x) => sum + x, 0) / 36);
    const forgetful = new Toy({ vocabulary: VOCABULARY }).initialise({ device: on.device, seed: 2 });
    expect((await perplexity({ ...call, model: forgetful })).natsPerToken).not.toBe(found.natsPerToken);
    // fewer are the first ones
    expect(await perplexity({ ...call, maxTokens: 17 })).toMatchObject({ tokens: 12, windows: 2 });
    await expect(perplexity({ ...call, mode: 'sliding' })).rejects.toThrow('take mode separate');
    model.dispose();
    forgetful.dispose();
  });

  test('which places count: each window side by side begins anew, sliding windows keep what is before', async () => {
    const harmonic = (from: number, to: number): number => {
      let sum = 0;
      for (let i = from; i <= to; i++) sum += Math.fround(1 / i);
      return sum;
    };
    const call = { device: on.device, model: new Places(), source: sourceOf(13), length: 4 } as const;
    const separate = await perplexity({ ...call, mode: 'separate' });
    expect(separate.natsPerToken).toBeCloseTo((3 * harmonic(1, 4)) / 12, 12);
    const sliding = await perplexity({ ...call, mode: 'sliding', stride: 1 });
    expect(sliding.natsPerToken).toBeCloseTo((harmonic(1, 4) + 8 / 4) / 12, 12);
    const byTwo = await perplexity({ ...call, mode: 'sliding' });
    expect(byTwo.natsPerToken).toBeCloseTo((harmonic(1, 4) + 4 * harmonic(3, 4)) / 12, 12);
    // six tokens of three windows, two from each
    const some = await perplexity({ ...call, mode: 'sliding', maxTokens: 7 });
    expect(some).toMatchObject({ tokens: 6, windows: 3 });
    expect(some.natsPerToken).toBeCloseTo(harmonic(3, 4) / 2, 12);
    // a model that says nothing of the first places of a window is asked of the last alone
    const last = { ...call, model: Object.assign(new Places(), { predicts: () => 1 }) };
    const few = await perplexity({ ...last, mode: 'separate' });
    expect(few).toMatchObject({ tokens: 3, natsPerToken: 1 / 4 });
    expect(await perplexity({ ...last, mode: 'sliding' })).toMatchObject({ tokens: 9, stride: 1, natsPerToken: 1 / 4 });
  });

  test('equal bits again, and progress to the end', async () => {
    const model = transformer();
    const source = sourceOf(3000);
    const call = { device: on.device, model, source, length: 700, mode: 'sliding' } as const;
    const seen: number[] = [];
    const { seconds: _, ...first } = await perplexity({ ...call, onProgress: (done, of) => seen.push(done / of) });
    const { seconds: __, ...again } = await perplexity(call);
    expect(again).toEqual(first);
    expect(seen.at(-1)).toBe(1);
    expect(seen.length).toBeGreaterThan(1);
    model.dispose();
  });

  test('tokens that the model does not know', async () => {
    const model = new Toy({ vocabulary: 10 }).initialise({ device: on.device, seed: 2 });
    const call = { device: on.device, model, source: sourceOf(40), length: 6, mode: 'separate' } as const;
    await expect(perplexity(call)).rejects.toThrow('the text has 11 different tokens, the model knows 10');
    model.dispose();
  });
});

describe('windows', () => {
  test('sliding: every target counts once, in a window that is full and within the text', () => {
    for (const size of [9, 10, 17, 40]) {
      for (let length = 1; length < 9; length++) {
        for (let stride = 1; stride <= length; stride++) {
          const { list, tokens } = windowsOf({ size, unit: 'byte' }, { length, mode: 'sliding', stride });
          const targets = list.flatMap(({ start, scores }) =>
            Array.from({ length: scores }, (_, i) => start + length - scores + i + 1),
          );
          expect(targets).toEqual(Array.from({ length: size - 1 }, (_, i) => i + 1));
          expect(tokens).toBe(size - 1);
          for (const { start } of list) expect(start >= 0 && start + length < size).toBe(true);
          for (const { scores } of list.slice(1)) expect(scores).toBeLessThanOrEqual(stride);
        }
      }
    }
  });

  test('side by side: whole windows; fewer lie evenly', () => {
    const source = { size: 42, unit: 'byte' } as const;
    const starts = (maxTokens?: number): number[] =>
      windowsOf(source, { length: 5, mode: 'separate', maxTokens }).list.map(({ start }) => start);
    expect(starts()).toEqual([0, 5, 10, 15, 20, 25, 30, 35]);
    expect(starts(41)).toEqual(starts());
    expect(starts(19)).toEqual([0, 10, 25]);
    expect(starts(5)).toEqual([0]);
  });

  test.each([
    [{ length: 0 }, 'length must be a whole number of at least 1; got 0'],
    [{ length: 2.5 }, 'length must be a whole number'],
    [{ length: 4, stride: 5 }, 'stride must be at most the length'],
    [{ length: 4, stride: 0 }, 'stride must be a whole number of at least 1'],
    [{ length: 10 }, 'a window of length 10 takes 11 bytes, the text has 10'],
    [{ length: 4, maxTokens: 3, mode: 'separate' }, 'one window scores 4 tokens; allow as many, not 3'],
    [{ length: 4, maxTokens: 1 }, 'one window scores 2 tokens'],
  ] as const)('%j is refused', (options, message) => {
    const call = (): unknown => windowsOf({ size: 10, unit: 'byte' }, { mode: 'sliding', ...options });
    expect(call).toThrow(OptionError);
    expect(call).toThrow(message);
  });
});

test('a loss is a mean over tokens; its error is that of windows', () => {
  const meter = new LossMeter();
  meter.add([1, 2]);
  meter.add([3]);
  meter.add([2, 2]);
  const found = meter.result(2, 1);
  expect(found).toMatchObject({ natsPerToken: 2, tokens: 5, windows: 3, perplexity: Math.exp(2) });
  expect(found.bitsPerByte).toBeCloseTo(1 / Math.LN2, 14);
  expect(found.perplexityPerByte).toBeCloseTo(Math.E, 12);
  // sums are off their share by −1, 1 and 0
  expect(found.standardError).toBeCloseTo(Math.sqrt((2 * 3) / 2) / 5, 14);
  const single = new LossMeter();
  single.add([1]);
  expect(single.result(1, 0).standardError).toBeNull();
});
