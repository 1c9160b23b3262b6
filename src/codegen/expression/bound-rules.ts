import { acos, atan2, growing, pow, wave } from './bound-functions.js';
import { hostData, meaning } from './evaluate.js';
import {
  at,
  corners,
  isEverything,
  isFloat,
  isPoint,
  keepNaN,
  monotone,
  one,
  point,
  rounded,
  roundedSum,
  unrounded,
  type Bounds,
  type Rule,
} from './intervals.js';
import * as lane from './lanes.js';
import type { Lane } from './lanes.js';
import type { Expression, Op, TypedArray } from './node.js';
import { tableRange } from './table-range.js';

/** A comparison of f32 with everything may meet a NaN, which no bound can decide. */
function undecidedByNaN(result: Bounds, x: Bounds, y: Bounds, e: Expression): Bounds {
  if (e.args[0]!.type !== 'f32') return result;
  const { lo, hi } = isPoint(result) ? { lo: result.lo, hi: result.lo.slice() } : result;
  for (let i = 0; i < lo.length; i++) if (isEverything(x, i) || isEverything(y, i)) [lo[i], hi[i]] = [0, 1];
  return { lo, hi };
}

function ordered(f: (x: Lane, y: Lane) => Lane, e: Expression, x: Bounds, y: Bounds): Bounds {
  const result = isPoint(x) && isPoint(y) ? point(f(x.lo, y.lo)) : { lo: f(x.hi, y.lo), hi: f(x.lo, y.hi) };
  return undecidedByNaN(result, x, y, e);
}

function equal(e: Expression, x: Bounds, y: Bounds): Bounds {
  const hi = lane.min(lane.le(x.lo, y.hi), lane.le(y.lo, x.hi));
  if (isPoint(x) && isPoint(y)) return undecidedByNaN(point(hi), x, y, e);
  // equal always: both are one number, the same
  return undecidedByNaN({ lo: lane.min(lane.le(x.hi, y.lo), lane.le(y.hi, x.lo)), hi }, x, y, e);
}

const holdsZero = (x: Bounds, i: number): boolean => at(x.lo, i) <= 0 && at(x.hi, i) >= 0;
const holdsInfinity = (x: Bounds, i: number): boolean => at(x.lo, i) === -Infinity || at(x.hi, i) === Infinity;
type Invalid = (x: Bounds, y: Bounds, i: number) => boolean;
// 0 · ∞ is NaN
const invalidProduct: Invalid = (x, y, i) =>
  (holdsZero(x, i) && holdsInfinity(y, i)) || (holdsZero(y, i) && holdsInfinity(x, i));
const invalidQuotient: Invalid = (x, y, i) => holdsZero(y, i) || (holdsInfinity(x, i) && holdsInfinity(y, i));

function unboundedWhere(invalid: Invalid, out: Bounds, x: Bounds, y: Bounds): Bounds {
  for (let i = 0; i < out.lo.length; i++) if (invalid(x, y, i)) [out.lo[i], out.hi[i]] = [-Infinity, Infinity];
  return out;
}

const inverted = (x: Bounds): Bounds =>
  isPoint(x) ? point(lane.not(x.lo)) : { lo: lane.not(x.hi), hi: lane.not(x.lo) };

/** Does y stay off 0 in every box? */
function nonZero(y: Bounds): boolean {
  for (let i = 0; i < y.lo.length; i++) if (y.lo[i]! <= 0 && y.hi[i]! >= 0) return false;
  return true;
}

function floorDivision(x: Bounds, y: Bounds): Bounds {
  if (isPoint(x) && isPoint(y)) return point(lane.floorDiv(x.lo, y.lo));
  if (nonZero(y)) return corners(lane.floorDiv, x, y);
  // |x // y| ≤ |x|, and 0 where y is 0
  const size = lane.max(lane.max(lane.neg(x.lo), x.hi), Float64Array.of(0));
  const spread = lane.add(size, new Float64Array(y.lo.length));
  return { lo: lane.neg(spread), hi: spread };
}

function modulo(x: Bounds, y: Bounds): Bounds {
  const remainder = (a: Lane, b: Lane): Lane => lane.sub(a, lane.mul(b, lane.floorDiv(a, b)));
  if (isPoint(x) && isPoint(y)) {
    const out = remainder(x.lo, y.lo);
    for (let i = 0; i < out.length; i++) if (at(y.lo, i) === 0) out[i] = 0;
    return point(out);
  }
  const [lo, sx, sy] = lane.sized(x.lo, y.lo);
  const hi = lane.fresh(lo.length);
  for (let i = 0; i < lo.length; i++) {
    const a = x.lo[i * sx]!;
    const b = x.hi[i * sx]!;
    const divisor = y.lo[i * sy]!;
    const turn = divisor * Math.floor(a / divisor);
    const low = a - turn;
    const high = b - turn;
    // one divisor, and no turn between the ends
    if (divisor === y.hi[i * sy] && (divisor > 0 ? high < divisor : high <= 0 && low > divisor)) {
      lo[i] = low;
      hi[i] = high;
    } else {
      lo[i] = Math.min(0, divisor + 1);
      hi[i] = Math.max(0, y.hi[i * sy]! - 1);
    }
  }
  return { lo, hi };
}

function chosen(c: Bounds, a: Bounds, b: Bounds): Bounds {
  const n = Math.max(c.lo.length, a.lo.length, b.lo.length);
  const [lo, hi] = [lane.fresh(n), lane.fresh(n)];
  for (let i = 0; i < n; i++) {
    const [never, always] = [at(c.hi, i) === 0, at(c.lo, i) === 1];
    lo[i] = never ? at(b.lo, i) : always ? at(a.lo, i) : Math.min(at(a.lo, i), at(b.lo, i));
    hi[i] = never ? at(b.hi, i) : always ? at(a.hi, i) : Math.max(at(a.hi, i), at(b.hi, i));
  }
  return isPoint(c) && isPoint(a) && isPoint(b) ? point(lo) : { lo, hi };
}

/** Reads at exact indices, 0 outside the table. */
function gather(data: TypedArray, shape: readonly number[], indices: readonly Bounds[], n: number): Lane {
  const flat = lane.fresh(n).fill(0);
  // −1 marks an index out of range, whatever the later dimensions say
  shape.forEach((size, dim) => {
    const index = indices[dim]!.lo;
    const stride = index.length === 1 ? 0 : 1;
    for (let i = 0; i < n; i++) {
      const here = index[i * stride]!;
      flat[i] = flat[i]! < 0 || !(here >= 0 && here < size) ? -1 : flat[i]! * size + here;
    }
  });
  for (let i = 0; i < n; i++) flat[i] = flat[i]! < 0 ? 0 : data[flat[i]!]!;
  return flat;
}

function read(e: Expression, ...indices: readonly Bounds[]): Bounds {
  const n = Math.max(...indices.map((index) => index.lo.length));
  const data = hostData(e.table!);
  if (data !== undefined && indices.every(isPoint)) return point(gather(data, e.table!.shape, indices, n));
  const [lo, hi, range] = [lane.fresh(n), lane.fresh(n), new Float64Array(2)];
  const [low, high] = [new Float64Array(indices.length), new Float64Array(indices.length)];
  for (let i = 0; i < n; i++) {
    for (let dim = 0; dim < indices.length; dim++) {
      low[dim] = at(indices[dim]!.lo, i);
      high[dim] = at(indices[dim]!.hi, i);
    }
    tableRange(e.table!, low, high, range);
    lo[i] = range[0]!;
    hi[i] = range[1]!;
  }
  return { lo, hi };
}

const truncate = (x: number): number => meaning.toI32(x, 0, 0);

export const rules: { readonly [O in Exclude<Op, 'variable' | 'parameter'>]: Rule } = {
  // an f32 literal reaches the kernel rounded
  constant: (e) => {
    const near = isFloat(e) ? Math.fround(e.value!) : e.value!;
    return one([Math.min(e.value!, near), Math.max(e.value!, near)]);
  },
  table: read,
  neg: (_, x) => (isPoint(x) ? point(lane.neg(x.lo)) : { lo: lane.neg(x.hi), hi: lane.neg(x.lo) }),
  abs: (e, x) => {
    const hi = lane.max(x.hi, lane.neg(x.lo));
    if (isPoint(x)) return point(hi);
    const out = { lo: lane.max(Float64Array.of(0), lane.max(x.lo, lane.neg(x.hi))), hi };
    return isFloat(e) ? keepNaN(out, x) : out;
  },
  sqrt: growing(Math.sqrt, { exact: true }),
  exp: growing(Math.exp),
  log: growing(Math.log, { absolute: 2 ** -21 }),
  tanh: growing(Math.tanh),
  erf: growing(meaning.erf as (x: number) => number, { absolute: 2 ** -20 }),
  sin: wave(Math.sin, Math.PI / 2),
  cos: wave(Math.cos, 0),
  acos,
  floor: (_, x) => ({ lo: lane.map(x.lo, Math.floor), hi: lane.map(x.hi, Math.floor) }),
  ceil: (_, x) => ({ lo: lane.map(x.lo, Math.ceil), hi: lane.map(x.hi, Math.ceil) }),
  add: monotone(lane.add, 'grows', roundedSum),
  sub: monotone(lane.sub, 'falls', roundedSum),
  mul: (e, x, y) => {
    if (isPoint(x) && isPoint(y) && !isFloat(e)) return point(lane.mul(x.lo, y.lo));
    const out = lane.product(x.lo, x.hi, y.lo, y.hi);
    return isFloat(e) ? unboundedWhere(invalidProduct, rounded(out.lo, out.hi, { exact: true }), x, y) : out;
  },
  div: (_, x, y) => {
    const { lo, hi } = corners(lane.div, x, y);
    return unboundedWhere(invalidQuotient, rounded(lo, hi, { exact: true }), x, y);
  },
  floorDiv: (_, x, y) => floorDivision(x, y),
  mod: (_, x, y) => modulo(x, y),
  min: monotone(lane.min, 'grows', unrounded),
  max: monotone(lane.max, 'grows', unrounded),
  pow,
  atan2,
  lt: (e, x, y) => ordered(lane.lt, e, x, y),
  le: (e, x, y) => ordered(lane.le, e, x, y),
  gt: (e, x, y) => ordered(lane.lt, e, y, x),
  ge: (e, x, y) => ordered(lane.le, e, y, x),
  eq: (e, x, y) => equal(e, x, y),
  ne: (e, x, y) => inverted(equal(e, x, y)),
  and: monotone(lane.min, 'grows', unrounded),
  or: monotone(lane.max, 'grows', unrounded),
  not: (_, x) => inverted(x),
  select: (_, c, a, b) => chosen(c, a, b),
  toF32: (_, x) => {
    if (x.hi.every((high, i) => high <= 2 ** 24 && x.lo[i]! >= -(2 ** 24))) return x;
    return rounded(x.lo.slice(), x.hi.slice(), { relative: 2 ** -24, exact: true });
  },
  toI32: (_, x) => ({ lo: lane.map(x.lo, truncate), hi: lane.map(x.hi, truncate) }),
};
