import type { DeviceInfo } from '../devices/device.js';
import type { NamedMask } from './mask-names.js';
import type { Verdict } from './verdict.js';

export type Pass = 'forward' | 'forward+backward';

export interface BenchOptions {
  readonly ops: readonly ('matmul' | 'attend')[];
  readonly batch: number;
  readonly heads: number;
  readonly headDim: number;
  readonly lengths: readonly number[];
  readonly masks: readonly NamedMask[];
  readonly passes: readonly Pass[];
  readonly rounds: number;
  readonly seed: number;
  readonly onProgress?: (text: string) => void;
}

/** Matmul rows are `[batch, length, length]` times itself: heads 1, headDim = length. */
export interface BenchRow {
  readonly op: 'matmul' | 'attend';
  readonly pass: Pass;
  readonly device: DeviceInfo['kind'];
  readonly threads: number;
  readonly batch: number;
  readonly heads: number;
  readonly headDim: number;
  readonly length: number;
  readonly causal: boolean;
  readonly mask: string;
  /** Median; null where the result was wrong, which is never timed. */
  readonly milliseconds: number | null;
  readonly gflops: number | null;
  /** gflops as a share of the measured peak of all threads; null where there is no time, or the measurement is at fault (`faults`). */
  readonly peakShare: number | null;
  /** Most bytes held at a time beyond inputs, outputs and their gradients. */
  readonly ledgerBytes: number;
  /** Whether sampled rows agree with float64 within the derived budget. */
  readonly checked: boolean;
}

/** One thing to time: how it is described, how it is run, what it found when it was checked. */
export interface BenchCase {
  readonly description: Pick<BenchRow, 'op' | 'pass' | 'batch' | 'heads' | 'headDim' | 'length' | 'causal' | 'mask'>;
  readonly flops: number;
  readonly verdict: Verdict;
  readonly ledgerBytes: number;
  readonly run: () => void;
}

export interface TimedCase extends Omit<BenchCase, 'run'> {
  readonly milliseconds: number | undefined;
}
