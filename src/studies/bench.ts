import type { Device } from '../devices/index.js';
import { benchAttend } from './bench-attend.js';
import { benchMatmul } from './bench-matmul.js';
import type { BenchOptions, BenchRow, TimedCase } from './bench-case.js';
import { machine, type Machine } from './machine.js';
import { doubtOf, higher, measurePeak, shareOf, type Peak } from './peak.js';

/** How rates are counted, printed beside them. */
export const convention =
  'GFLOP/s: attend 4·pairs·D forward and 14·pairs·D forward+backward, pairs counted over all heads (none: n²); ' +
  'matmul 2·n³ and 6·n³.';

export interface Bench {
  readonly machine: Machine;
  readonly peak: Peak;
  readonly rows: readonly BenchRow[];
  /** What is wrong with the measurement; rows that it spoils have no share of the peak. */
  readonly faults: readonly string[];
}

/** Measures and checks; rates are shares of the higher of two peaks, measured before and after. */
export async function bench(device: Device, options: BenchOptions): Promise<Bench> {
  const progress = options.onProgress ?? (() => undefined);
  progress('measuring the peak of the machine');
  const before = await measurePeak(device);
  const timed: TimedCase[] = [];
  for (const op of options.ops) {
    for (const length of options.lengths) {
      timed.push(...(await (op === 'matmul' ? benchMatmul : benchAttend)(device, length, options, progress)));
    }
  }
  const peak = higher(before, await measurePeak(device));
  const rows = timed.map((one) => rowOf(one, peak));
  return { machine: machine(device), peak, rows, faults: faultsOf(rows, peak) };
}

/** Why some rows have a rate and no share of the peak. */
export function faultsOf(rows: readonly BenchRow[], peak: Peak): readonly string[] {
  const doubt = doubtOf(peak);
  if (doubt !== undefined) return [doubt];
  const above = rows.filter(({ gflops, peakShare }) => gflops !== null && peakShare === null).length;
  if (above === 0) return [];
  return [`${above} of ${rows.length} rates are above the peak, which cannot be: measure again on a quiet machine.`];
}

export function rowOf(one: TimedCase, peak: Peak): BenchRow {
  const { description, flops, verdict, ledgerBytes } = one;
  const { op, pass, ...shape } = description;
  const milliseconds = one.milliseconds ?? null;
  const gflops = milliseconds === null ? null : flops / milliseconds / 1e6;
  return {
    op,
    pass,
    device: peak.device,
    threads: peak.threads,
    ...shape,
    milliseconds,
    gflops,
    peakShare: gflops === null || doubtOf(peak) !== undefined ? null : shareOf(gflops, peak.gflops),
    ledgerBytes,
    checked: verdict.ok,
  };
}
