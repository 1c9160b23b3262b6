import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createDevice, type CpuDevice } from '../../src/devices/index.js';
import { compare, type Comparison } from '../../src/studies/compare.js';
import { textFeatures } from '../../src/studies/features.js';
import { namedMask } from '../../src/studies/mask-names.js';
import { sampleRows } from '../../src/studies/reference.js';
import { liveTensors } from '../../src/tensor/index.js';
import { attend } from '../oracles/attend.js';

const text = new TextEncoder().encode(
  'It is a truth universally acknowledged, that a single man in possession. '.repeat(3),
);
const names = ['none', 'causal', 'radius:4', 'causal-window:8'];
const options = { heads: 2, headDim: 16, seed: 5 };
const lengths = [32, 64, 101];
// the matrices of both heads fit at 32, of one at 64, of none at 101
const memoryLimit = 2 * 4 * 64 * 64;

let device: CpuDevice;
let result: Comparison;
const blocks: number[] = [];
beforeAll(async () => {
  device = await createDevice({ kind: 'wasm', threads: 1, poison: true });
  const masks = names.map(namedMask);
  result = await compare(
    device,
    { name: 'tiny.txt', bytes: text },
    { ...options, lengths: [101, 64, 32, 64], masks, memoryLimit, onLength: (rows) => blocks.push(rows.length) },
  );
});
afterAll(() => device.dispose());

test('has a row for every mechanism at every length, and frees every tensor', () => {
  expect(result.lengths).toEqual(lengths);
  const expected = lengths.flatMap((n) => ['standard', 'exact', ...names.slice(1)].map((name) => `${name} ${n}`));
  expect(result.rows.map(({ mechanism, length }) => `${mechanism} ${length}`)).toEqual(expected);
  expect(blocks).toEqual([5, 5, 5]);
  expect(liveTensors()).toBe(0);
  expect(device.ledger.live('tensor')).toBe(0);
  // plain data
  expect(JSON.parse(JSON.stringify(result))).toEqual(result);
});

test('standard attention stops at the memory limit and says so', () => {
  const [all, halves, stopped] = result.rows.filter(({ mechanism }) => mechanism === 'standard');
  expect(all).toMatchObject({ skipped: null, note: null });
  expect(all!.workspaceBytes).toBeGreaterThanOrEqual(2 * 4 * 2 * 32 * 32);
  expect(halves).toMatchObject({ skipped: null, note: '1 of 2 heads at a time' });
  expect(halves!.workspaceBytes).toBeGreaterThanOrEqual(memoryLimit);
  expect(stopped).toMatchObject({ milliseconds: null, speedup: null, workspaceBytes: null, error: null, check: null });
  expect(stopped!.skipped).toBe('the n×n matrices of one head take 81.6 kB; the limit is 32.8 kB');
});

test('ratios are those of the times', () => {
  for (const row of result.rows.filter(({ skipped }) => skipped === null)) {
    const time = (name: string): number | null | undefined =>
      result.rows.find(({ mechanism, length }) => mechanism === name && length === row.length)?.milliseconds;
    const standard = time('standard');
    expect(row.speedup).toBe(standard === null ? null : standard! / row.milliseconds!);
    expect(row.overExact).toBe(time('exact')! / row.milliseconds!);
    expect(row.rounds).toBeGreaterThan(0);
  }
});

describe('errors are those of a float64 oracle', () => {
  const rules: Record<string, (i: number, j: number) => boolean> = {
    standard: () => true,
    exact: () => true,
    causal: (i, j) => j <= i,
    'radius:4': (i, j) => Math.abs(i - j) <= 4,
    'causal-window:8': (i, j) => j <= i && i - j < 8,
  };

  test.each(lengths)('length %i', (length) => {
    const problem = textFeatures(text.subarray(0, length), options);
    const { heads: H, headDim: D, q, k, v } = problem;
    const shape = { B: 1, H, G: H, L: length, S: length, D, E: D, q, k, v };
    const oracle = (rule: (i: number, j: number) => boolean): Float64Array =>
      attend({ ...shape, allowed: ({ i, j }) => rule(i, j) }).out;
    const targets = { full: oracle(() => true), causal: oracle((i, j) => j <= i) };
    const sampled = sampleRows(H, length, result.rowsPerHead, options.seed);
    for (const row of result.rows.filter((one) => one.length === length && one.skipped === null)) {
      const rule = rules[row.mechanism]!;
      const [got, reference] = [oracle(rule), targets[row.target]];
      let [difference, norm] = [0, 0];
      for (const { h, i } of sampled) {
        for (let d = 0, at = (h * length + i) * D; d < D; d++, at++) {
          difference += (got[at]! - reference[at]!) ** 2;
          norm += reference[at]! ** 2;
        }
      }
      const relative = Math.sqrt(difference / norm);
      // a mechanism is its mask, up to the rounding of f32
      expect(Math.abs(row.error!.relative - relative)).toBeLessThan(3e-6);
      expect(row.error!.rows).toBe(sampled.length);
      expect(row.error!.worstRow).toBeGreaterThanOrEqual(row.error!.relative / 2);
      expect(row.check!.ok).toBe(true);
      let pairs = 0;
      for (let i = 0; i < length; i++) for (let j = 0; j < length; j++) pairs += Number(rule(i, j));
      expect(row.pairsShare).toBeCloseTo(pairs / length ** 2, 12);
    }
  });
});

test('lengths for which there is no time are left out, and it is said', async () => {
  const masks = [namedMask('none')];
  const document = { name: 'tiny.txt', bytes: text };
  const hurried = await compare(device, document, {
    ...options,
    lengths: [8, 16, 128],
    masks,
    memoryLimit,
    seconds: 1e-6,
  });
  expect(hurried.lengths).toEqual([8]);
  expect(hurried.rows.map(({ length }) => length)).toEqual([8, 8]);
  expect(hurried.omitted.map(({ length }) => length)).toEqual([16, 128]);
  expect(hurried.omitted[0]!.why).toMatch(/^it might end only after \d+ s; the limit is 0\.000001 s$/);
  expect(result.omitted).toEqual([]);
});

test('masks have pictures', () => {
  expect(result.pictures.map(({ mask }) => mask)).toEqual(names.slice(1));
  expect(result.pictures[0]!.length).toBe(101);
});

test('a length that the text does not have is refused', async () => {
  const run = compare(
    device,
    { name: 'tiny.txt', bytes: text.subarray(0, 10) },
    { ...options, lengths: [11], masks: [namedMask('none')], memoryLimit },
  );
  await expect(run).rejects.toThrow('compare: lengths must be from 1 to the 10 bytes of the text; got 11.');
});
