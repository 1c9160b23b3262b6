import { at, keepNaN, rounded, type Interval, type Rule } from './intervals.js';
import * as lane from './lanes.js';

/** A growing function of one f32 argument; outside its domain it returns NaN, and the bound is everything. */
export const growing =
  (f: (x: number) => number, error: { absolute?: number; exact?: boolean } = {}): Rule =>
  (_, x) =>
    keepNaN(rounded(lane.map(x.lo, f), lane.map(x.hi, f), error), x);

/** sin and cos: extremes where a peak (`peak + 2πn`) or a trough (half a turn later) lies between the ends. */
export const wave =
  (f: (x: number) => number, peak: number): Rule =>
  (_, x) => {
    const turn = 2 * Math.PI;
    const holds = (low: number, high: number, at: number): boolean =>
      !(Math.ceil((low - at) / turn) * turn + at > high);
    const lo = lane.map(x.lo, f);
    const hi = lane.map(x.hi, f);
    for (let i = 0; i < lo.length; i++) {
      const [a, b] = [x.lo[i]!, x.hi[i]!];
      const [least, most] = lo[i]! < hi[i]! ? [lo[i]!, hi[i]!] : [hi[i]!, lo[i]!];
      // the sine of infinity is NaN: everything
      lo[i] = holds(a, b, peak + Math.PI) ? -1 : least;
      hi[i] = holds(a, b, peak) ? 1 : most;
      if (!Number.isFinite(a) || !Number.isFinite(b)) [lo[i], hi[i]] = [-Infinity, Infinity];
    }
    // range reduction in f32 loses absolute, not relative, accuracy
    return rounded(lo, hi, { absolute: 1e-5 });
  };

/** Falls from −1 to 1, and is NaN outside. */
export const acos: Rule = (_, x) => keepNaN(rounded(lane.map(x.hi, Math.acos), lane.map(x.lo, Math.acos)), x);

/** The extremes of a function of two f32 in every box, or undefined where it may be NaN. */
type OfBox = (x: Interval, y: Interval) => Interval | undefined;

const everywhere =
  (f: OfBox): Rule =>
  (_, x, y) => {
    const n = Math.max(x.lo.length, y.lo.length);
    const [lo, hi] = [lane.fresh(n), lane.fresh(n)];
    for (let i = 0; i < n; i++) {
      [lo[i], hi[i]] = f([at(x.lo, i), at(x.hi, i)], [at(y.lo, i), at(y.hi, i)]) ?? [NaN, NaN];
    }
    return keepNaN(rounded(lo, hi), x, y);
  };

const extremes = (...values: readonly number[]): Interval => [Math.min(...values), Math.max(...values)];
const atCorners = (f: (x: number, y: number) => number, [a, b]: Interval, [c, d]: Interval): Interval =>
  extremes(f(a, c), f(a, d), f(b, c), f(b, d));

export const atan2 = everywhere((y, x) => {
  // the half-line where it jumps from −π to π, at which y may be −0
  const jumps = y[0] <= 0 && y[1] >= 0 && x[0] <= 0;
  return jumps ? [-Math.PI, Math.PI] : atCorners(Math.atan2, y, x);
});

export const pow = everywhere((x, y) => {
  const [least, most] = y;
  const zero = x[0] <= 0 && x[1] >= 0;
  // (±1)^±∞ is NaN, and a power of ±0 may be either infinity
  if (!Number.isFinite(least) || !Number.isFinite(most) || (zero && least < 0)) return undefined;
  if (x[0] >= 0) return atCorners(Math.pow, x, y);
  if (least !== most || !Number.isInteger(least)) return undefined;
  return extremes(x[0] ** least, x[1] ** least, ...(zero ? [0 ** least] : []));
});
