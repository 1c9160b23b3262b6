import type { Device } from '../devices/index.js';
import type { Exactness, Rehearsal } from '../attention/index.js';
import type { ErrorSummary } from './error.js';
import { isCausal, type Variant } from './mechanisms.js';
import { alternate, median } from './timing.js';
import type { Verdict } from './verdict.js';

/** What a call was expected to take, before it ran. */
export interface Predicted {
  /** Query–key pairs of all heads by the mechanism's formula, where it has one. */
  readonly pairs: number | null;
  /** Multiply-adds of the forward pass by the mechanism's formula. */
  readonly formulaMultiplyAdds: number;
  /** From a rehearsal: multiply-adds that will be executed, both passes of a training step. */
  readonly multiplyAdds: number;
  /** From the same rehearsal; see `CompareRow`. */
  readonly workspaceBytes: number;
  readonly savedBytes: number;
}

/** What the device counted in one call. */
export interface Counted {
  /** Multiply-adds of matrix products; tiles that a mask cuts are executed whole. */
  readonly multiplyAdds: number;
  readonly bytesMoved: number;
  readonly dispatches: number;
}

/** One mechanism at one length. What was not measured is null, and `skipped` says why. */
export interface CompareRow {
  /** The mechanism with its given options, such as `longformer:radius=128`. */
  readonly name: string;
  readonly mechanism: string;
  readonly family: string;
  /** A mixer replaces attention: its error says how different it is, not how wrong. */
  readonly level: 'attention' | 'mixer';
  readonly exactness: Exactness;
  readonly causal: boolean;
  readonly length: number;
  readonly milliseconds: number | null;
  readonly rounds: number;
  /** Standard attention's time over this one's, at this length. */
  readonly overStandard: number | null;
  /** The same against flash. */
  readonly overFlash: number | null;
  /** Twice the counted multiply-adds per second, in billions. */
  readonly gflops: number | null;
  /** Most bytes held at a time beyond inputs, parameters and the result; in a training step also beyond gradients. */
  readonly workspaceBytes: number | null;
  /** Of these, held from the forward to the backward pass; 0 without training. */
  readonly savedBytes: number | null;
  readonly parameterBytes: number | null;
  readonly predicted: Predicted | null;
  readonly counted: Counted | null;
  /** Pairs of the formula, of all n². */
  readonly pairsShare: number | null;
  /** Against float64 softmax attention over all pairs, or over those up to the query where `causal`. */
  readonly error: ErrorSummary | null;
  /** Against float64 on the mechanism's own pairs, for exact ones: whether it computes what it says. */
  readonly check: Verdict | null;
  readonly skipped: string | null;
  /** Whether it was skipped because it threw or was wrong. */
  readonly failed: boolean;
  /** How the run departs from the plain one. */
  readonly notes: readonly string[];
}

/** A row without its time yet, and what is to be timed: nothing where the row is left out or wrong. */
export interface Pending {
  readonly row: CompareRow;
  readonly run: (() => void) | undefined;
  /** Called when it is done. */
  readonly release: () => void;
}

/** A row of which nothing is known but what it is to be. */
export function blankRow(variant: Variant, length: number, causal: boolean): CompareRow {
  const { name, family, level = 'attention', exactness } = variant.mechanism.definition;
  return {
    name: variant.name,
    mechanism: name,
    family,
    level,
    exactness,
    causal: isCausal(variant, causal),
    length,
    milliseconds: null,
    rounds: 0,
    overStandard: null,
    overFlash: null,
    gflops: null,
    workspaceBytes: null,
    savedBytes: null,
    parameterBytes: null,
    predicted: null,
    counted: null,
    pairsShare: null,
    error: null,
    check: null,
    skipped: null,
    failed: false,
    notes: [],
  };
}

export const leftOut = (row: CompareRow, skipped: string, failed = false): Pending => ({
  row: { ...row, skipped, failed },
  run: undefined,
  release: () => undefined,
});

export function predictedOf(
  { multiplyAdds, workspaceBytes, savedBytes }: Rehearsal,
  cost: { readonly pairs?: number; readonly multiplyAdds: number },
): Predicted {
  return {
    pairs: cost.pairs ?? null,
    formulaMultiplyAdds: cost.multiplyAdds,
    multiplyAdds,
    workspaceBytes,
    savedBytes,
  };
}

const rounds = { most: 5, milliseconds: 3000 };

/** Times what was found right, in turns, and compares the medians. */
export async function timed(device: Device, pending: readonly Pending[]): Promise<CompareRow[]> {
  const right = pending.flatMap((one) => (one.run === undefined ? [] : [{ row: one.row, run: one.run }]));
  const times = await alternate(
    right.map(({ run }) => run),
    rounds,
    () => device.synchronise(),
  );
  const rows = pending.map(({ row }) => {
    const index = right.findIndex((one) => one.row === row);
    if (index < 0) return row;
    const milliseconds = median(times[index]!);
    const gflops = (2 * row.counted!.multiplyAdds) / milliseconds / 1e6;
    return { ...row, milliseconds, rounds: times[index]!.length, gflops };
  });
  return withRatios(rows);
}

/** The rows of one length with their times against those of standard attention and of flash. */
function withRatios(rows: readonly CompareRow[]): CompareRow[] {
  const over = (name: string, own: number | null): number | null => {
    const other = rows.find(({ mechanism }) => mechanism === name)?.milliseconds ?? null;
    return own === null || other === null ? null : other / own;
  };
  return rows.map((row) => ({
    ...row,
    overStandard: over('standard', row.milliseconds),
    overFlash: over('flash', row.milliseconds),
  }));
}
