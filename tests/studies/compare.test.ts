// of studies/compare-run

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { flash, mechanisms as registry, rehearse, standard } from '../../src/attention/index.js';
import { createDevice, type Device } from '../../src/devices/index.js';
import { compare, type Comparison, type CompareOptions } from '../../src/studies/compare.js';
import { rowsPerHead, shapeOf } from '../../src/studies/compare-scene.js';
import { textFeatures } from '../../src/studies/features.js';
import { coreSet, variant } from '../../src/studies/mechanisms.js';
import { sampleRows } from '../../src/studies/reference.js';
import { liveTensors } from '../../src/tensor/index.js';
import { attend } from '../oracles/attend.js';
import * as specimens from './mechanisms.js';

const text = new TextEncoder().encode(
  'It is a truth universally acknowledged, that a single man in possession. '.repeat(3),
);
const document = { name: 'tiny.txt', bytes: text };
const sizes = { heads: 2, headDim: 16 };
const seed = 5;
const lengths = [64, 128, 201];
const like = { width: 4, threads: 1 } as const;
const peakOfOneHead = rehearse(
  variant(standard).mechanism,
  shapeOf(2, 16, 128),
  { headsAtATime: 1 },
  { like },
).peakBytes;
const options: CompareOptions = {
  ...sizes,
  seed,
  lengths,
  variants: [variant(specimens.window), variant(specimens.window, { radius: 9 }), variant(specimens.projected)],
  causal: false,
  training: false,
  // the matrices of both heads fit at 64, of one at 128, of none at 201
  memoryLimit: peakOfOneHead,
};

let device: Device;
let result: Comparison;
const blocks: number[] = [];
// what other files of this process left is not ours
let before = 0;
beforeAll(async () => {
  before = liveTensors();
  device = await createDevice({ kind: 'wasm', threads: 1, poison: true });
  result = await compare(device, document, {
    ...options,
    lengths: [201, 128, 64, 128],
    onLength: (rows) => blocks.push(rows.length),
  });
});
afterEach(() => {
  const { ledger } = device;
  const left = { tensors: liveTensors() - before, bytes: ledger.live('tensor') + ledger.live('parameter') };
  if (left.tensors + left.bytes > 0) throw new Error(`not freed: ${JSON.stringify(left)}`);
});
afterAll(() => device.dispose());

const run = (more: Partial<CompareOptions>): Promise<Comparison> =>
  compare(device, document, { ...options, lengths: [40], memoryLimit: 1e9, ...more });
const byName = ({ rows }: Comparison, name: string) => rows.find((row) => row.name === name)!;

test('has a row for every mechanism at every length, the baselines first, in plain data', () => {
  const names = ['standard', 'flash', 'test-window', 'test-window:radius=9', 'test-projected'];
  expect(result.lengths).toEqual(lengths);
  expect(result.rows.map(({ name, length }) => `${name} ${length}`)).toEqual(
    lengths.flatMap((n) => names.map((name) => `${name} ${n}`)),
  );
  expect(result.mechanisms.map(({ name }) => name)).toEqual(names);
  expect(blocks).toEqual([5, 5, 5]);
  expect(JSON.parse(JSON.stringify(result))).toEqual(result);
});

test('standard attention takes fewer heads at a time, and stops at the memory limit', () => {
  const [all, halves, stopped] = result.rows.filter(({ mechanism }) => mechanism === 'standard');
  expect(all).toMatchObject({ skipped: null, notes: [] });
  expect(halves).toMatchObject({ skipped: null, notes: ['1 of 2 heads at a time'] });
  expect(halves!.workspaceBytes).toBeLessThanOrEqual(peakOfOneHead);
  expect(stopped).toMatchObject({
    milliseconds: null,
    overFlash: null,
    workspaceBytes: null,
    error: null,
    check: null,
  });
  expect(stopped).toMatchObject({ failed: false, notes: [], predicted: { workspaceBytes: expect.any(Number) } });
  expect(stopped!.skipped).toMatch(/^it would hold [\d.]+ kB; the limit is [\d.]+ kB$/);
});

test('ratios are those of the times', () => {
  for (const row of result.rows.filter(({ skipped }) => skipped === null)) {
    const time = (name: string): number | null =>
      result.rows.find(({ mechanism, length }) => mechanism === name && length === row.length)!.milliseconds;
    const theirs = time('standard');
    expect(row.overStandard).toBe(theirs === null ? null : theirs / row.milliseconds!);
    expect(row.overFlash).toBe(time('flash')! / row.milliseconds!);
    expect(row.rounds).toBeGreaterThan(0);
  }
});

test('what was predicted is what was counted', () => {
  for (const row of result.rows.filter(({ skipped }) => skipped === null)) {
    expect(row.counted!.multiplyAdds).toBe(row.predicted!.multiplyAdds);
    expect(row.workspaceBytes).toBe(row.predicted!.workspaceBytes);
    expect(row.savedBytes).toBe(0);
  }
  expect(byName(result, 'standard').predicted!.formulaMultiplyAdds).toBe(2 * 64 * 64 * 32);
  expect(byName(result, 'test-projected').parameterBytes).toBe(4 * 16 * 16);
});

test('features that a document brings are compared, in their sizes, with their note', async () => {
  const problem = textFeatures(text.subarray(0, 50), { heads: 1, headDim: 8, seed: 9 });
  const brought = { ...document, features: { problem, note: 'of somewhere' } };
  const found = await compare(device, brought, { ...options, lengths: [40], memoryLimit: 1e9 });
  expect(found).toMatchObject({ heads: 1, headDim: 8, features: 'of somewhere' });
  const made = await run({ heads: 1, headDim: 8, seed: 9 });
  // the rows that are looked at depend on the seed of the comparison
  const same = await compare(device, brought, { ...options, seed: 9, lengths: [40], memoryLimit: 1e9 });
  expect(same.rows.map(({ error }) => error)).toEqual(made.rows.map(({ error }) => error));
  const long = compare(device, brought, { ...options, lengths: [51] });
  await expect(long).rejects.toThrow('compare: lengths must be at most the 50 positions of the features.');
});

describe('errors are those of a float64 oracle', () => {
  const rules: Record<string, (i: number, j: number) => boolean> = {
    standard: () => true,
    flash: () => true,
    'test-window': (i, j) => Math.abs(i - j) <= 4,
    'test-window:radius=9': (i, j) => Math.abs(i - j) <= 9,
  };

  async function hold(found: Comparison, length: number, causal: boolean): Promise<void> {
    const problem = textFeatures(text.subarray(0, length), { ...sizes, seed });
    const { heads: H, headDim: D, q, k, v } = problem;
    const shape = { B: 1, H, G: H, L: length, S: length, D, E: D, q, k, v };
    const seen = (i: number, j: number): boolean => !causal || j <= i;
    const oracle = (rule: (i: number, j: number) => boolean): Float64Array =>
      attend({ ...shape, allowed: ({ i, j }) => seen(i, j) && rule(i, j) }).out;
    const reference = oracle(() => true);
    const sampled = sampleRows(H, length, rowsPerHead(H), seed);
    const exact = found.rows.filter((row) => row.length === length && row.check !== null);
    expect(exact.length).toBeGreaterThan(2);
    for (const row of exact) {
      const rule = rules[row.name]!;
      const got = oracle(rule);
      let [difference, norm] = [0, 0];
      for (const { h, i } of sampled) {
        for (let d = 0, at = (h * length + i) * D; d < D; d++, at++) {
          difference += (got[at]! - reference[at]!) ** 2;
          norm += reference[at]! ** 2;
        }
      }
      // an exact mechanism is its pattern, up to the rounding of f32, which its check bounds
      const rounding = (row.check!.budget * Math.sqrt(sampled.length * D)) / Math.sqrt(norm);
      expect(Math.abs(row.error!.relative - Math.sqrt(difference / norm))).toBeLessThan(rounding);
      expect(row.error!.rows).toBe(sampled.length);
      expect(row).toMatchObject({ causal, check: { ok: true } });
      let pairs = 0;
      for (let i = 0; i < length; i++) {
        for (let j = 0; j < length; j++) pairs += Number((seen(i, j) || row.name === 'standard') && rule(i, j));
      }
      expect(row.pairsShare).toBeCloseTo(pairs / length ** 2, 12);
    }
  }

  test.each(lengths)('length %i', (length) => hold(result, length, false));
  test('causal', async () => hold(await run({ causal: true, lengths: [50] }), 50, true));
});

test('an approximate mechanism has an error and no check; one that is not finite is not timed', async () => {
  expect(byName(result, 'test-projected')).toMatchObject({ check: null, skipped: null, exactness: 'learned' });
  expect(byName(result, 'test-projected').error!.relative).toBeGreaterThan(0.01);
  const found = await run({ variants: [variant(specimens.infinite)] });
  expect(byName(found, 'test-infinite')).toMatchObject({
    skipped: 'its result is not finite; not timed',
    failed: true,
    milliseconds: null,
    error: null,
  });
});

test('what is wrong or throws is marked, and the others run', async () => {
  const found = await run({ variants: [specimens.wrong, specimens.broken].map((one) => variant(one)) });
  expect(byName(found, 'test-wrong')).toMatchObject({ failed: true, milliseconds: null, check: { ok: false } });
  expect(byName(found, 'test-wrong').skipped).toMatch(/^wrong by .* the budget is .*; not timed$/);
  expect(byName(found, 'test-broken')).toMatchObject({ failed: true, skipped: 'out of order' });
  expect(byName(found, 'flash').milliseconds).toBeGreaterThan(0);
});

test('a length or a form that a mechanism does not take is left out with the reason', async () => {
  const found = await run({ variants: [variant(specimens.evens)], lengths: [41, 42] });
  const [odd, even] = found.rows.filter(({ name }) => name === 'test-evens');
  expect(odd).toMatchObject({ skipped: 'the length must be even: 40 or 42', failed: false, predicted: null });
  expect(even).toMatchObject({ skipped: null });
  const causal = await run({ causal: true, variants: [variant(specimens.evens)], lengths: [42] });
  expect(byName(causal, 'test-evens').skipped).toBe('it has no causal form');
});

test('a mechanism that is causal only is held to causal attention, whatever is asked', async () => {
  const found = await run({ variants: [variant(specimens.past)] });
  expect(byName(found, 'test-past')).toMatchObject({ causal: true, check: { ok: true } });
  expect(byName(found, 'test-past').error!.relative).toBeLessThan(1e-5);
  expect(byName(found, 'flash').causal).toBe(false);
});

describe('a training step', () => {
  test('is checked, counted and timed', async () => {
    // causal standard attention holds the most before the backward pass begins
    const found = await run({ training: true, causal: true });
    for (const row of found.rows) {
      expect(row).toMatchObject({ skipped: null, failed: false });
      expect(row.counted!.multiplyAdds).toBe(row.predicted!.multiplyAdds);
      expect(row.counted!.multiplyAdds).toBeGreaterThan(2 * row.predicted!.formulaMultiplyAdds);
      expect(row.workspaceBytes).toBe(row.predicted!.workspaceBytes);
      expect(row.savedBytes).toBe(row.predicted!.savedBytes);
    }
    expect(byName(found, 'standard').savedBytes).toBeGreaterThanOrEqual(4 * 2 * 40 * 40);
    expect(byName(found, 'test-window').check).toMatchObject({ ok: true });
  });

  test('finds a wrong gradient behind a right result', async () => {
    const variants = [variant(specimens.stopped)];
    expect(byName(await run({ variants }), 'test-stopped').failed).toBe(false);
    expect(byName(await run({ variants, training: true }), 'test-stopped')).toMatchObject({
      failed: true,
      check: { ok: false },
    });
  });
});

test('lengths for which there is no time are left out, and it is said', async () => {
  const hurried = await run({ variants: [], lengths: [8, 16, 128], seconds: 1e-6 });
  expect(hurried.lengths).toEqual([8]);
  expect(hurried.rows.map(({ length }) => length)).toEqual([8, 8]);
  expect(hurried.omitted.map(({ length }) => length)).toEqual([16, 128]);
  expect(hurried.omitted[0]!.why).toMatch(/^it might end only after \d+ s; the limit is 0 s$/);
  expect(result.omitted).toEqual([]);
});

test('patterns have pictures', () => {
  expect(result.pictures.map(({ mask }) => mask)).toEqual(['test-window', 'test-window:radius=9']);
  expect(result.pictures[0]).toMatchObject({ length: 201, label: 'Each query sees the keys near it.' });
});

test('bad input is refused with every reason at once', async () => {
  const bad = compare(
    device,
    { name: 'tiny.txt', bytes: text.subarray(0, 10) },
    {
      ...options,
      lengths: [11],
      variants: [
        variant(specimens.window, { radius: -1 }),
        variant(flash, { radus: 1 }),
        variant(flash),
        variant(flash),
      ],
    },
  );
  await expect(bad).rejects.toThrow(
    'compare: test-window: radius must be a whole number of at least 0; got -1; ' +
      'flash: unknown option "radus"; there are none; each mechanism once; got flash again; ' +
      'lengths must be from 1 to the 10 bytes of the text; got 11.',
  );
});

test('the core set is in the registry, and holds the baselines', () => {
  const core = coreSet();
  expect(core).toEqual(expect.arrayContaining([standard, flash]));
  for (const one of core) expect(registry).toContain(one);
});
