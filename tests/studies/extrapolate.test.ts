// of studies/{extrapolate-evaluate,extrapolate-train,extrapolate-work}

import { appendFileSync, existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { FormatError, OptionError } from '../../src/core/errors.js';
import { openCorpus, splitCorpus, type Split } from '../../src/data/index.js';
import { extrapolate, type ExtrapolateOptions, type Extrapolation } from '../../src/studies/extrapolate.js';
import { chooseMethods, extrapolationMethods, usualMethods } from '../../src/studies/extrapolate-methods.js';
import { change, extrapolationFindings, summarise } from '../../src/studies/extrapolate-summary.js';
import { fileOf, temporaryFolder } from '../data/folder.js';
import { onEveryDevice } from '../support/devices.js';

const options: ExtrapolateOptions = {
  methods: extrapolationMethods.map(({ name }) => name),
  length: 8,
  times: [1, 2],
  layers: 1,
  width: 8,
  heads: 2,
  steps: 3,
  batchSize: 2,
  rate: 0.01,
  seeds: 1,
  seed: 0,
  maxTokens: 50,
};
const text = (): Split =>
  splitCorpus(openCorpus([fileOf('The quick brown fox jumps over the lazy dog.\n'.repeat(20))]), 0.2);

onEveryDevice((on) => {
  test('every method where it is defined, on the same bytes, again the same from what was kept', async () => {
    const folder = temporaryFolder();
    const split = text();
    const shares: number[] = [];
    const told: string[] = [];
    const found = await extrapolate(on.device, split, {
      ...options,
      folder,
      onProgress: ({ share }) => shares.push(share),
      onRows: ([first]) => told.push(first!.method),
    });
    expect(told).toHaveLength(extrapolationMethods.length);
    expect(found.rows).toHaveLength(extrapolationMethods.length * 2 * 2);
    expect(found).toMatchObject({ seeds: [0], scoredBytes: 48, stopped: false, times: [1, 2] });
    const at = (method: string, times: number) =>
      found.rows.find((row) => row.method === method && row.times === times && row.mode === 'separate')!;
    for (const row of found.rows) {
      if (row.method === 'learned' && row.times > 1) expect(row).toMatchObject({ bitsPerByte: null, tokens: 0 });
      else {
        expect(row).toMatchObject({ length: 8 * row.times, tokens: 48 });
        expect(row.perplexityPerByte).toBeCloseTo(2 ** row.bitsPerByte!, 9);
      }
    }
    // one model each: equal at the trained length, apart beyond it
    for (const [one, other] of [
      ['learned', 'learned-tiled'],
      ['rope', 'rope-linear'],
      ['rope', 'rope-ntk'],
      ['rope', 'rope-dynamic'],
      ['rope', 'rope-yarn'],
    ] as const) {
      expect(at(other, 1).bitsPerByte).toBe(at(one, 1).bitsPerByte);
      expect(at(other, 2).bitsPerByte).not.toBe(at(one, 2).bitsPerByte);
    }
    expect(
      new Set(['sinusoidal', 'learned', 'rope', 't5', 'alibi', 'none'].map((m) => at(m, 1).bitsPerByte)).size,
    ).toBe(6);
    expect(shares.every((share, i) => share >= (shares[i - 1] ?? 0) && share <= 1)).toBe(true);

    const steps: string[] = [];
    const again = await extrapolate(on.device, split, {
      ...options,
      folder,
      onProgress: ({ what }) => steps.push(what),
    });
    expect(again.rows).toEqual(found.rows);
    expect(steps.filter((what) => what.startsWith('training'))).toEqual([]);
    // other options, other models
    const other = await extrapolate(on.device, split, { ...options, methods: ['none'], rate: 0.02, folder });
    expect(other.rows[0]!.bitsPerByte).not.toBe(at('none', 1).bitsPerByte);
    // nor is one taken that was changed on the disk
    const kept = join(folder, 'alibi-0');
    appendFileSync(
      join(
        kept,
        readdirSync(kept).find((name) => name.endsWith('.safetensors'))!,
      ),
      'x',
    );
    const damaged = extrapolate(on.device, split, { ...options, methods: ['alibi'], folder });
    await expect(damaged).rejects.toThrow(FormatError);
  });

  test('stopped: what is finished is told and kept, the rest is not there', async () => {
    const folder = join(temporaryFolder(), 'models');
    let steps = 0;
    const call = { ...options, methods: ['none', 'alibi'], seeds: 2, folder };
    const found = await extrapolate(on.device, text(), {
      ...call,
      onProgress: ({ what }) => (steps += what.startsWith('training') ? 1 : 0),
      stopping: () => steps >= 5,
    });
    expect(found.stopped).toBe(true);
    expect(new Set(found.rows.map(({ method, seed }) => `${method} ${seed}`))).toEqual(new Set(['alibi 0']));
    expect(readdirSync(folder)).toEqual(['alibi-0']);
  });
});

test.each([
  [{ methods: ['rop', 'xyz'] }, ['unknown method "rop" (did you mean "rope"?), "xyz"; known are']],
  [{ methods: [] }, ['known are sinusoidal']],
  [{ length: 0, steps: 1, rate: -1 }, ['length must be', 'steps must be', 'rate must be']],
  [{ times: [0.5] }, ['times must be whole numbers of at least 1; got 0.5']],
  [{ times: [] }, ['times must be whole numbers of at least 1; got none']],
  [{ times: [1, 64] }, ['a window of 512 takes 513 bytes, 50 are to be scored']],
  [{ times: [1, 64], maxTokens: 1e6 }, ['a window of 512 takes 513 bytes, the validation text has']],
] as const)('%j is refused before anything is trained', async (own, messages) => {
  const folder = join(temporaryFolder(), 'models');
  const call = extrapolate(undefined as never, text(), { ...options, ...own, folder });
  const error: unknown = await call.catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(OptionError);
  for (const message of messages) expect((error as Error).message).toContain(message);
  expect(existsSync(folder)).toBe(false);
});

test('methods by name, each once, in their own order', () => {
  expect(chooseMethods(['alibi', 'sinusoidal', 'alibi']).map(({ name }) => name)).toEqual(['sinusoidal', 'alibi']);
  expect(usualMethods).not.toContain('learned-tiled');
  const scaling = (name: string, factor: number): unknown => chooseMethods([name])[0]!.evaluated(factor, 128);
  expect(scaling('rope-linear', 4)).toEqual({ method: 'rope', scaling: { type: 'linear', factor: 4 } });
  expect(scaling('rope-yarn', 4)).toEqual({
    method: 'rope',
    scaling: { type: 'yarn', factor: 4, originalLength: 128 },
  });
  expect(scaling('learned', 1)).toEqual({ method: 'learned' });
  expect(scaling('learned', 2)).toBeNull();
});

describe('the summary', () => {
  const row = (method: string, seed: number, times: number, bitsPerByte: number | null) => ({
    method,
    seed,
    times,
    length: 100 * times,
    mode: 'separate' as const,
    tokens: 1,
    bitsPerByte,
    perplexityPerByte: bitsPerByte === null ? null : 2 ** bitsPerByte,
  });
  const study = {
    methods: [
      { name: 'alibi', label: 'ALiBi', trained: 'alibi' },
      { name: 'sinusoidal', label: 'sinusoidal', trained: 'sinusoidal' },
      { name: 't5', label: 'T5 bias', trained: 't5' },
      { name: 'learned', label: 'learned', trained: 'learned' },
    ],
    length: 100,
    times: [1, 8],
    rows: [
      ['alibi', 0, 1, 2],
      ['alibi', 0, 8, 2],
      ['alibi', 1, 1, 2.5],
      ['alibi', 1, 8, 1.5],
      ['sinusoidal', 0, 1, 2],
      ['sinusoidal', 0, 8, 3],
      ['t5', 0, 1, 2],
      ['t5', 0, 8, 2.2],
      ['learned', 0, 1, 2],
      ['learned', 0, 8, null],
    ].map((values) => row(...(values as Parameters<typeof row>))),
  } as unknown as Extrapolation;

  test('means, ends and ratios over seeds, by hand', () => {
    const at = (method: string, times: number) =>
      summarise(study).find((one) => one.method === method && one.times === times && one.mode === 'separate');
    expect(at('alibi', 8)).toMatchObject({
      seeds: 2,
      bitsPerByte: 1.75,
      lowest: 1.5,
      highest: 2,
      ratio: (1 + 0.5) / 2,
    });
    expect(at('sinusoidal', 8)).toMatchObject({ seeds: 1, bitsPerByte: 3, ratio: 2 });
    expect(at('learned', 8)).toMatchObject({ seeds: 1, bitsPerByte: null, ratio: null });
  });

  test('in sentences', () => {
    expect(extrapolationFindings(study)).toEqual([
      'Trained on windows of 100 bytes, read in windows of 800; the change of perplexity per byte, side by side:',
      'Within 3 % or better: ALiBi (−25 %).',
      'Worse, by less than 20 %: T5 bias (+15 %).',
      'Worse by 20 % or more: sinusoidal (+100 %).',
      'Not defined beyond the trained length: learned.',
    ]);
    expect([change(1), change(0.986), change(2.5)]).toEqual(['+0.0 %', '−1.4 %', '+150 %']);
  });
});
