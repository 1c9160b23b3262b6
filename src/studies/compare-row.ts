import { OutOfMemoryError } from '../core/errors.js';
import type { CpuDevice } from '../devices/index.js';
import { scope, type Tensor } from '../tensor/index.js';
import { ErrorMeter, type ErrorSummary } from './error.js';
import type { Mechanism } from './mechanisms.js';
import type { ReferenceRow, Row } from './reference.js';
import { alternate, median } from './timing.js';
import { Check, type Verdict } from './verdict.js';

/** One mechanism at one length. What was not measured is null, and `skipped` says why. */
export interface CompareRow {
  readonly mechanism: string;
  readonly label: string;
  readonly kind: 'standard' | 'exact' | 'sparse';
  /** What `error` is measured against: attention over all pairs, or over those up to the query. */
  readonly target: 'full' | 'causal';
  readonly length: number;
  readonly milliseconds: number | null;
  readonly rounds: number;
  /** Standard attention's time over this one's, at this length. */
  readonly speedup: number | null;
  /** The same against exact fused attention. */
  readonly overExact: number | null;
  /** 4·pairs·headDim per second, in billions. */
  readonly gflops: number | null;
  /** Most bytes held at a time beyond q, k, v and the result. */
  readonly workspaceBytes: number | null;
  /** Pairs it needs, of all. */
  readonly pairsShare: number | null;
  readonly error: ErrorSummary | null;
  /** Against float64 on the mechanism's own pairs: whether it computes what it says. */
  readonly check: Verdict | null;
  readonly skipped: string | null;
  /** How the run departs from the plain one. */
  readonly note: string | null;
}

/** A problem on the device, and what results are held to. */
export interface Scene {
  readonly device: CpuDevice;
  readonly length: number;
  readonly headDim: number;
  readonly inputs: readonly [q: Tensor, k: Tensor, v: Tensor];
  readonly sampled: readonly (Row & {
    readonly target: { readonly full: ReferenceRow; readonly causal: ReferenceRow };
    readonly own: ReadonlyMap<Mechanism, ReferenceRow>;
  })[];
  readonly progress: (text: string) => void;
}

const ROUNDS = { most: 5, milliseconds: 3000 };

function skip({ length }: Scene, { name, label, kind, target, note }: Mechanism, why: string | null): CompareRow {
  const nothing = { milliseconds: null, rounds: 0, speedup: null, overExact: null, gflops: null };
  const unknown = { workspaceBytes: null, pairsShare: null, error: null, check: null };
  return { mechanism: name, label, kind, target, length, ...nothing, ...unknown, skipped: why, note };
}

/** A row without its time yet, and what is to be timed: nothing where the row is left out or wrong. */
export interface Pending {
  readonly row: CompareRow;
  readonly pairs: number;
  readonly run: (() => void) | undefined;
}

/** Runs a mechanism once, checks it and counts its bytes. */
export async function check(scene: Scene, mechanism: Mechanism): Promise<Pending> {
  const { device, inputs } = scene;
  try {
    return await scope(async () => {
      const start = device.ledger.mark();
      const { out, pairs: count } = mechanism.run(...inputs);
      const workspaceBytes = device.ledger.peak - start - out.byteLength;
      const { error, verdict } = judge(scene, mechanism, await out.data());
      const pairs = count();
      const skipped = verdict.ok
        ? null
        : `wrong by ${verdict.error.toExponential(1)}, the budget is ${verdict.budget.toExponential(1)}; not timed`;
      return {
        row: {
          ...skip(scene, mechanism, skipped),
          workspaceBytes,
          error,
          check: verdict,
          pairsShare: shareOf(pairs, scene),
        },
        pairs,
        run: verdict.ok ? () => scope(() => void mechanism.run(...inputs)) : undefined,
      };
    });
  } catch (error) {
    if (!(error instanceof OutOfMemoryError)) throw error;
    return leftOut(scene, mechanism, error.message.replace(/\.$/, ''));
  }
}

export const leftOut = (scene: Scene, mechanism: Mechanism, why: string): Pending => ({
  row: skip(scene, mechanism, why),
  pairs: 0,
  run: undefined,
});

/** Times what was found right, in turns, and compares the medians. */
export function timed({ headDim }: Scene, pending: readonly Pending[]): CompareRow[] {
  const right = pending.flatMap((one) => (one.run === undefined ? [] : [{ ...one, run: one.run }]));
  const times = alternate(
    right.map(({ run }) => run),
    ROUNDS,
  );
  const rows = pending.map(({ row, pairs }) => {
    const index = right.findIndex((one) => one.row === row);
    if (index < 0) return row;
    const milliseconds = median(times[index]!);
    const gflops = (4 * pairs * headDim) / milliseconds / 1e6;
    return { ...row, milliseconds, rounds: times[index]!.length, gflops };
  });
  return withRatios(rows);
}

/** The rows of one length with their times against those of standard and of exact fused attention. */
function withRatios(rows: readonly CompareRow[]): CompareRow[] {
  const over = (name: string, own: number | null): number | null => {
    const other = rows.find(({ mechanism }) => mechanism === name)?.milliseconds ?? null;
    return own === null || other === null ? null : other / own;
  };
  return rows.map((row) => ({
    ...row,
    speedup: over('standard', row.milliseconds),
    overExact: over('exact', row.milliseconds),
  }));
}

function shareOf(pairs: number, { inputs, length }: Scene): number {
  return pairs / (inputs[0].shape[1]! * length * length);
}

/** The error against the target, and whether the numbers are right for the pairs the mechanism computes with. */
function judge(
  scene: Scene,
  mechanism: Mechanism,
  out: ArrayLike<number>,
): { readonly error: ErrorSummary; readonly verdict: Verdict } {
  const { length, headDim } = scene;
  const meter = new ErrorMeter();
  const own = new Check();
  for (const { h, i, target, own: rows } of scene.sampled) {
    const at = (h * length + i) * headDim;
    const got = Array.prototype.slice.call(out, at, at + headDim) as number[];
    const reference = target[mechanism.target];
    meter.add(got, reference.exact);
    const { exact, plain } = rows.get(mechanism) ?? reference;
    got.forEach((value, d) => own.add(value, exact[d]!, plain[d]!));
  }
  return { error: meter.summary(), verdict: own.verdict() };
}
