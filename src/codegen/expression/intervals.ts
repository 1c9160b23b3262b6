import * as lane from './lanes.js';
import type { Lane } from './lanes.js';
import type { Expression, ExpressionType } from './node.js';

/** Inclusive bounds. A truth value is [0,0] never, [1,1] always, [0,1] undecided. */
export type Interval = readonly [low: number, high: number];

/**
 * Many intervals at once. `lo === hi` (the same array) marks exact points, on which integer rules compute once.
 * A lane array has one entry per box, or one entry that stands for all boxes.
 */
export interface Bounds {
  readonly lo: Lane;
  readonly hi: Lane;
}

export type Rule = (e: Expression, ...args: readonly Bounds[]) => Bounds;

export const point = (lo: Lane): Bounds => ({ lo, hi: lo });
export const isPoint = (x: Bounds): boolean => x.lo === x.hi;
export const whole: { readonly [T in ExpressionType]: Interval } = {
  f32: [-Infinity, Infinity],
  i32: [-(2 ** 31), 2 ** 31 - 1],
  bool: [0, 1],
};
export const one = ([low, high]: Interval): Bounds =>
  low === high ? point(Float64Array.of(low)) : { lo: Float64Array.of(low), hi: Float64Array.of(high) };

/** Beyond it f32 may overflow. */
const LARGEST = 3.4e38;

/**
 * Grows f32 results outward by what a kernel's arithmetic may differ from real arithmetic: a relative error of
 * `relative` (default 4 units in the last place), underflow to zero and overflow to infinity. NaN becomes everything.
 * A single number that f32 holds exactly is what every kernel computes (`exact`: of IEEE operations only).
 */
export function rounded(lo: Lane, hi: Lane, { relative = 2 ** -21, absolute = 2 ** -126, exact = false } = {}): Bounds {
  for (let i = 0; i < lo.length; i++) {
    if (exact && lo[i] === hi[i] && Math.fround(lo[i]!) === lo[i]) continue;
    // an infinity at the far end stands for what overflowed, too
    const low = lo[i] === Infinity ? LARGEST : lo[i]! - Math.abs(lo[i]!) * relative - absolute;
    const high = hi[i] === -Infinity ? -LARGEST : hi[i]! + Math.abs(hi[i]!) * relative + absolute;
    const valid = low <= high;
    lo[i] = valid && low > -LARGEST ? low : -Infinity;
    hi[i] = valid && high < LARGEST ? high : Infinity;
  }
  return { lo, hi };
}

export const isFloat = (e: Expression): boolean => e.type === 'f32';

/** Everything: what an f32 that may be NaN is bounded by, and the only bound a NaN may hide in. */
export const isEverything = (x: Bounds, i: number): boolean => at(x.lo, i) === -Infinity && at(x.hi, i) === Infinity;
export const at = (x: Lane, i: number): number => x[x.length === 1 ? 0 : i]!;

/** Keeps what may be NaN unbounded through operations whose range is limited. */
export function keepNaN(result: Bounds, ...args: readonly Bounds[]): Bounds {
  if (args.every((x) => isPoint(x))) return result;
  for (let i = 0; i < result.lo.length; i++) {
    if (args.some((x) => isEverything(x, i))) [result.lo[i], result.hi[i]] = [-Infinity, Infinity];
  }
  return result;
}

/** A rule for an operation that grows with its first argument and, with `second`, grows or falls with its second. */
export function monotone(
  f: (x: Lane, y: Lane) => Lane,
  second: 'grows' | 'falls',
  finish: (e: Expression, out: Bounds) => Bounds,
): Rule {
  return (e, x, y) => {
    if (isPoint(x) && isPoint(y) && !isFloat(e)) return point(f(x.lo, y.lo));
    const [yLow, yHigh] = second === 'grows' ? [y.lo, y.hi] : [y.hi, y.lo];
    const out = { lo: f(x.lo, yLow), hi: f(x.hi, yHigh) };
    return isFloat(e) ? keepNaN(finish(e, out), x, y) : out;
  };
}
/** What finishes a rule of IEEE sums. */
export const roundedSum = (_: Expression, { lo, hi }: Bounds): Bounds => rounded(lo, hi, { exact: true });
/** What finishes a rule whose results are arguments. */
export const unrounded = (_: Expression, out: Bounds): Bounds => out;

/** The extremes of an operation that is monotone in each argument, at the four corners. */
export function corners(f: (x: Lane, y: Lane) => Lane, x: Bounds, y: Bounds): Bounds {
  const values = [f(x.lo, y.lo), f(x.lo, y.hi), f(x.hi, y.lo), f(x.hi, y.hi)];
  return { lo: values.reduce(lane.min), hi: values.reduce(lane.max) };
}
