import type { AnyOptions } from '../attention/index.js';
import { OutOfMemoryError } from '../core/errors.js';
import { attend } from '../ops/attend.js';
import { disposeAll, gradients, noGradient, scope, tensor, type Tensor } from '../tensor/index.js';
import { checkBackward, checkForward, rowsToCheck } from './attend-check.js';
import { type CompareRow, leftOut, type Pending } from './compare-row.js';
import { type Scene, supportOf } from './compare-scene.js';
import { ErrorMeter, type ErrorSummary } from './error.js';
import { isCausal, type Variant } from './mechanisms.js';
import { keysSeen, type Problem, referenceRow, type Row, type Support } from './reference.js';
import { Check, type Verdict, worst } from './verdict.js';

/** A variant with its parameters on the device, ready to run. */
interface Player {
  readonly variant: Variant;
  readonly call: AnyOptions;
  readonly parameters: readonly Tensor[];
}

/** Runs a mechanism once, checks it and counts what it took; what it then is to be timed with goes along. */
export async function check(scene: Scene, variant: Variant, call: AnyOptions, blank: CompareRow): Promise<Pending> {
  const { mechanism } = variant;
  let parameters: Readonly<Record<string, Tensor>> = {};
  const release = (): void => disposeAll(parameters);
  try {
    parameters = mechanism.parameters(scene.shape, { ...call, device: scene.device });
    const all = Object.values<Tensor>(parameters);
    const player: Player = { variant, call: { ...call, parameters }, parameters: all };
    const found = await scope(() => runOnce(scene, player));
    const { error, verdict } = found;
    const wrong = verdict && !verdict.ok;
    const why = found.broken
      ? 'its result is not finite; not timed'
      : wrong
        ? `wrong by ${verdict.error.toExponential(1)}, the budget is ${verdict.budget.toExponential(1)}; not timed`
        : null;
    const row: CompareRow = {
      ...blank,
      ...found.taken,
      parameterBytes: all.reduce((bytes, x) => bytes + x.byteLength, 0),
      error: found.broken ? null : error,
      check: verdict ?? null,
      skipped: why,
      failed: why !== null,
      notes: [...blank.notes, ...found.notes],
    };
    return { row, run: why === null ? () => scope(() => void compute(scene, player)) : undefined, release };
  } catch (error) {
    release();
    const message = (error instanceof Error ? error.message : String(error)).replace(/\.$/, '');
    // one mechanism that fails is no reason to lose the others; the row is marked and the command then fails
    return leftOut(blank, message, !(error instanceof OutOfMemoryError));
  }
}

interface Computed {
  readonly out: Tensor;
  /** Of q, k and v. */
  readonly gradients: readonly Tensor[];
  readonly notes: readonly string[];
  readonly savedBytes: number;
  /** Gradients of inputs, parameters and output. */
  readonly gradientBytes: number;
}

/** One call, or one training step. When bytes are counted, `counting` is what was held before. */
function compute(
  { device, inputs, cotangent }: Scene,
  { variant, call, parameters }: Player,
  counting?: number,
): Computed {
  const forward = (): { out: Tensor; notes: readonly string[] } => {
    const { out, notes, ...rest } = variant.mechanism.run(...inputs, call);
    disposeAll(rest);
    return { out, notes };
  };
  if (cotangent === undefined) return { ...noGradient(forward), gradients: [], savedBytes: 0, gradientBytes: 0 };
  const { out, notes } = forward();
  const savedBytes = device.ledger.besidePlans - (counting ?? 0) - out.byteLength;
  const leaves = [...inputs, ...parameters.filter((x) => x.requiresGradient)];
  // a mixer without parameters may read none of them
  if (!out.requiresGradient) return { out, notes, gradients: [], savedBytes, gradientBytes: 0 };
  // it arrives after the forward pass: where that holds the most, it is not there yet
  const given = counting === undefined ? cotangent.device : tensor(cotangent.host, cotangent.device.shape, { device });
  const all = gradients([out], leaves, [given], { release: true });
  const gradientBytes = [...all, given].reduce((bytes, x) => bytes + x.byteLength, 0);
  return { out, notes, gradients: all.slice(0, inputs.length), savedBytes, gradientBytes };
}

async function runOnce(scene: Scene, player: Player) {
  const { ledger, counters } = scene.device;
  const start = ledger.mark();
  const before = { ...counters };
  const { out, notes, savedBytes, gradientBytes, ...computed } = compute(scene, player, start);
  const taken = {
    workspaceBytes: Math.max(0, ledger.peak - start - out.byteLength - gradientBytes),
    savedBytes,
    counted: {
      multiplyAdds: counters.multiplyAdds - before.multiplyAdds,
      bytesMoved: counters.bytesMoved - before.bytesMoved,
      dispatches: counters.dispatches - before.dispatches,
    },
  };
  const numbers = await out.data();
  const { error, verdict } = judge(scene, player.variant, numbers);
  const support = supportOf(player.variant, scene.shape, scene);
  const verdicts = [
    ...(support && verdict ? [verdict] : []),
    ...(support && computed.gradients.length > 0
      ? await judgeGradients(scene, support, numbers, computed.gradients)
      : []),
  ];
  return {
    taken,
    notes,
    error,
    verdict: verdicts.length === 0 ? undefined : worst(verdicts),
    broken: !numbers.every(Number.isFinite),
  };
}

/** The error against softmax attention, and, for an exact mechanism, whether the numbers are right for its own pairs. */
function judge(
  { sampled, problem: { length, headDim }, causal }: Scene,
  variant: Variant,
  out: ArrayLike<number>,
): { readonly error: ErrorSummary; readonly verdict: Verdict } {
  const meter = new ErrorMeter();
  const own = new Check();
  const kind = isCausal(variant, causal) ? 'causal' : 'full';
  for (const { h, i, target, own: rows } of sampled) {
    const at = (h * length + i) * headDim;
    const got = Array.prototype.slice.call(out, at, at + headDim) as number[];
    const reference = target[kind];
    meter.add(got, reference.exact);
    const { exact, plain } = rows.get(variant) ?? reference;
    got.forEach((value, d) => own.add(value, exact[d]!, plain[d]!));
  }
  return { error: meter.summary(), verdict: own.verdict() };
}

/**
 * Gradients of an exact mechanism against float64. The row statistics they need are those of fused attention, checked first; the
 * mechanism had its own, so that the budget allows for the rounding of plain float32 code in these too.
 */
async function judgeGradients(
  { problem, inputs, cotangent, seed }: Scene,
  support: Support,
  out: ArrayLike<number>,
  [dq, dk, dv]: readonly Tensor[],
): Promise<Verdict[]> {
  const { causal, mask } = support;
  const fused = noGradient(() => attend(...inputs, { causal, ...(mask && { mask }) }));
  const forward = { out: await fused.out.data(), logsumexp: await fused.logsumexp.data() };
  const result = { dq: await dq!.data(), dk: await dk!.data(), dv: await dv!.data() };
  const rows = rowsToCheck(problem, seed);
  const rounding = statisticsError(problem, support, rows);
  const plainForward = { out, logsumexp: forward.logsumexp.map((x) => x + rounding) };
  return [
    checkForward(problem, support, forward, rows),
    checkBackward(problem, support, forward, cotangent!.host, result, rows, plainForward),
  ];
}

/** The largest error of plain float32 code in the logarithm of a row's sum. */
function statisticsError(problem: Problem, support: Support, rows: readonly Row[]): number {
  const sees = keysSeen(support, problem);
  const errors = rows.map((row) => {
    const { logsumexp, plainLogsumexp } = referenceRow(problem, row, [sees])[0]!;
    // a row that sees nothing has none
    return logsumexp === plainLogsumexp ? 0 : Math.abs(plainLogsumexp - logsumexp);
  });
  return Math.max(...errors);
}
