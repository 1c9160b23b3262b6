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

const ROUNDS = { most: 7, milliseconds: 400 };

export function skip({ length }: Scene, { name, label, kind, target }: Mechanism, why: string): CompareRow {
  return {
    ...{ mechanism: name, label, kind, target, length },
    ...{ milliseconds: null, rounds: 0, speedup: null, overExact: null, gflops: null },
    ...{ workspaceBytes: null, pairsShare: null, error: null, check: null, skipped: why },
  };
}

/** Runs a mechanism once to check it and to count its bytes, then times it. Ratios come later, in `withRatios`. */
export async function measure(scene: Scene, mechanism: Mechanism): Promise<CompareRow> {
  const { device, length, headDim, inputs } = scene;
  try {
    return await scope(async () => {
      const start = device.ledger.mark();
      const { out, pairs } = mechanism.run(...inputs);
      const workspaceBytes = device.ledger.peak - start - out.byteLength;
      const { error, check } = judge(scene, mechanism, await out.data());
      out.dispose();
      const needed = pairs();
      const found = { ...skip(scene, mechanism, ''), workspaceBytes, error, check, pairsShare: shareOf(needed, scene) };
      if (!check.ok) {
        const why = `wrong by ${check.error.toExponential(1)}, the budget is ${check.budget.toExponential(1)}; not timed`;
        return { ...found, skipped: why };
      }
      const [times] = alternate([() => scope(() => void mechanism.run(...inputs))], ROUNDS);
      const milliseconds = median(times!);
      return {
        ...found,
        milliseconds,
        rounds: times!.length,
        gflops: (4 * needed * headDim) / milliseconds / 1e6,
        skipped: null,
      };
    });
  } catch (error) {
    if (!(error instanceof OutOfMemoryError)) throw error;
    return skip(scene, mechanism, `out of memory at length ${length}`);
  }
}

/** The rows of one length with their times against those of standard and of exact fused attention. */
export function withRatios(rows: readonly CompareRow[]): CompareRow[] {
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
function judge(scene: Scene, mechanism: Mechanism, out: ArrayLike<number>): { error: ErrorSummary; check: Verdict } {
  const { length, headDim } = scene;
  const meter = new ErrorMeter();
  const check = new Check();
  for (const { h, i, target, own } of scene.sampled) {
    const at = (h * length + i) * headDim;
    const got = Array.prototype.slice.call(out, at, at + headDim) as number[];
    const reference = target[mechanism.target];
    meter.add(got, reference.exact);
    const { exact, plain } = own.get(mechanism) ?? reference;
    got.forEach((value, d) => check.add(value, exact[d]!, plain[d]!));
  }
  return { error: meter.summary(), check: check.verdict() };
}
