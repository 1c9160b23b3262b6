// of studies/{bench-attend,bench-matmul,bench-run}

import { describe, expect, test } from 'vitest';
import { createDevice } from '../../src/devices/index.js';
import { bench, faultsOf, rowOf } from '../../src/studies/bench.js';
import { machine } from '../../src/studies/machine.js';
import { namedMask } from '../../src/studies/mask-names.js';
import { doubtOf, higher, measurePeak, type Peak, shareOf } from '../../src/studies/peak.js';
import { tensorsFromNow } from '../support/devices.js';

test.each([1, 2])('the peak of %i threads is measured and its memory returned', async (threads) => {
  const device = await createDevice({ kind: 'wasm', threads });
  const peak = await measurePeak(device);
  expect(peak).toMatchObject({ device: 'wasm', threads });
  expect(peak.gflopsOneThread).toBeGreaterThan(0.1);
  expect(peak.gflops).toBeGreaterThanOrEqual(peak.gflopsOneThread);
  expect(peak.gigabytesPerSecond).toBeGreaterThan(0.01);
  expect(device.ledger.live()).toBe(0);
  expect(higher(peak, { ...peak, gflops: 1e9 }).gflops).toBe(1e9);
  expect(machine(device)).toMatchObject({ node: process.version, device: { kind: 'wasm', threads } });
  await device.dispose();
});

describe('a measurement at fault', () => {
  const peak: Peak = {
    device: 'native',
    threads: 1,
    gflops: 100,
    gflopsOneThread: 100,
    gflopsOneChain: 12.5,
    gigabytesPerSecond: 20,
  };
  const row = (gflops: number | undefined, of: Peak) =>
    rowOf(
      {
        description: {
          op: 'attend',
          pass: 'forward',
          batch: 1,
          heads: 1,
          headDim: 8,
          length: 8,
          causal: false,
          mask: 'none',
        },
        flops: 1e6 * (gflops ?? 0),
        milliseconds: gflops === undefined ? undefined : 1,
        verdict: { ok: gflops !== undefined, error: 0, budget: 1 },
        ledgerBytes: 0,
      },
      of,
    );

  test('a share of the peak above 1.02 is none', () => {
    expect([shareOf(50, 100), shareOf(102, 100), shareOf(103, 100), shareOf(NaN, 100), shareOf(1, 0)]).toEqual([
      0.5,
      1.02,
      null,
      null,
      null,
    ]);
  });

  test('rows above the peak have a rate and no share, and it is said', () => {
    const rows = [row(50, peak), row(175, peak), row(undefined, peak)];
    expect(rows.map(({ gflops, peakShare }) => [gflops, peakShare])).toEqual([
      [50, 0.5],
      [175, null],
      [null, null],
    ]);
    expect(faultsOf(rows, peak)).toEqual([expect.stringMatching(/^1 of 3 rates are above the peak/)]);
    expect(faultsOf([rows[0]!, rows[2]!], peak)).toEqual([]);
  });

  test('a peak that one chain of multiply-adds contradicts gives no share, and it is said', () => {
    // what chains kept in memory measured where registers do 103
    const third = { ...peak, gflops: 34, gflopsOneThread: 34, gflopsOneChain: 12.9 };
    expect(doubtOf(peak)).toBeUndefined();
    expect(doubtOf(third)).toMatch(/34\.0 GFLOP\/s.*12\.9/);
    expect(row(20, third)).toMatchObject({ gflops: 20, peakShare: null });
    expect(faultsOf([row(20, third)], third)).toEqual([doubtOf(third)]);
  });
});

describe('bench', () => {
  test('has a checked row for every case, in plain data, and leaves no tensor', async () => {
    const device = await createDevice({ kind: 'wasm', threads: 1, poison: true });
    const made = tensorsFromNow();
    const result = await bench(device, {
      ops: ['matmul', 'attend'],
      batch: 2,
      heads: 3,
      headDim: 8,
      lengths: [17, 40],
      masks: ['none', 'causal', 'radius:5', 'strided:4/causal'].map(namedMask),
      passes: ['forward', 'forward+backward'],
      rounds: 1,
      seed: 0,
    });
    expect(Object.keys(result)).toEqual(['machine', 'peak', 'rows', 'faults']);
    expect(result.rows).toHaveLength(2 * 2 + 2 * 4 * 2);
    for (const row of result.rows) {
      expect(row).toMatchObject({ device: 'wasm', threads: 1, batch: 2, checked: true });
      expect(row.milliseconds).toBeGreaterThan(0);
      // on a busy machine the peak may be measured wrongly, and then it is said
      if (result.faults.length === 0) expect(row.peakShare).toBeCloseTo(row.gflops! / result.peak.gflops, 12);
      expect(row.ledgerBytes).toBeGreaterThanOrEqual(0);
    }
    const flops = (index: number): number => result.rows[index]!.gflops! * result.rows[index]!.milliseconds! * 1e6;
    expect(flops(0)).toBeCloseTo(2 * 2 * 17 ** 3, 3);
    expect(flops(1)).toBeCloseTo(6 * 2 * 17 ** 3, 3);
    expect(flops(4)).toBeCloseTo(4 * 2 * 3 * 17 ** 2 * 8, 3);
    expect(flops(5)).toBeCloseTo(14 * 2 * 3 * 17 ** 2 * 8, 3);
    expect(flops(6)).toBeCloseTo(4 * 2 * 3 * ((17 * 18) / 2) * 8, 3);
    expect(result.rows.slice(4, 12).map(({ mask, causal, pass }) => [mask, causal, pass])).toEqual(
      [
        ['none', false],
        ['none', true],
        ['within:radius=5', false],
        ['strided:stride=4', true],
      ].flatMap((mask) => ['forward', 'forward+backward'].map((pass) => [...mask, pass])),
    );
    expect(made()).toBe(0);
    await device.dispose();
  });
});
