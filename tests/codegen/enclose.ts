import { hostData, meaning, topological, type Expression } from '../../src/codegen/expression/index.js';

/** All results that f32 code may give: from `lo` to `hi`, or NaN where both are. */
export interface Enclosure {
  readonly lo: number;
  readonly hi: number;
}

/** Undefined: code may differ from float64 by more than rounding, as at a comparison of nearly equal numbers. */
type Known = Enclosure | undefined;
type Rule = (a: Enclosure, b: Enclosure, e: Expression) => Known;

const LIMIT = 2 ** 31;
const point = (value: number): Enclosure => ({ lo: value, hi: value });
const isPoint = (x: Enclosure): boolean => Object.is(x.lo, x.hi);
const isNaN = (x: Enclosure): boolean => Number.isNaN(x.lo);

const view = new DataView(new ArrayBuffer(4));
/** The f32 number `steps` after the one that `value` rounds to. */
function step(value: number, steps: number): number {
  const near = Math.fround(value);
  if (!Number.isFinite(near)) return near;
  view.setFloat32(0, near);
  const bits = view.getInt32(0);
  const order = (bits < 0 ? -(bits & 0x7fffffff) : bits) + steps;
  view.setInt32(0, order < 0 ? -order | -LIMIT : order);
  return view.getFloat32(0);
}

/** Bounds of what was computed with an error of some units in the last place. */
function widened(values: readonly number[], ulps: number): Known {
  if (values.every(Number.isNaN)) return point(NaN);
  if (values.some(Number.isNaN)) return undefined;
  return { lo: step(Math.min(...values), -ulps), hi: step(Math.max(...values), ulps) };
}

const corners = (f: (a: number, b: number) => number, a: Enclosure, b: Enclosure): number[] => [
  f(a.lo, b.lo),
  f(a.lo, b.hi),
  f(a.hi, b.lo),
  f(a.hi, b.hi),
];
/** Bounds of a function that is monotone in each argument. */
const monotone =
  (ulps: number): Rule =>
  (a, b, e) => {
    const apply = meaning[e.op as 'add'];
    const values = corners((x, y) => apply(x, y, 0), a, b ?? a);
    if (e.type === 'f32') return widened(values, e.args.some((arg) => arg.type === 'f32') ? ulps : 0);
    const [lo, hi] = [Math.min(...values), Math.max(...values)];
    // the promise of integer expressions: every value has 32 bits
    return lo >= -LIMIT && hi < LIMIT ? { lo: lo + 0, hi: hi + 0 } : undefined;
  };
const exact = monotone(0);
const rounded = monotone(1);
/** Within 3 units, as tests/codegen/math.test.ts has it; the endpoints may be rounded once more. */
const transcendental = monotone(4);
const within =
  (low: number, rule: Rule): Rule =>
  (a, b, e) =>
    isNaN(a) || a.lo >= low || a.hi < low ? rule(a, b, e) : undefined;
const periodic: Rule = (a, _, e) => {
  const value = meaning[e.op as 'sin'](a.lo, 0, 0);
  if (isNaN(a) || !Number.isFinite(a.lo)) return point(NaN);
  const spread = a.hi - a.lo;
  if (!(spread < 1) || Math.abs(a.lo) > 6e6) return undefined;
  return { lo: step(value, -4) - spread, hi: step(value, 4) + spread };
};
const compared: Rule = (a, b, e) => {
  const seen = new Set(corners((x, y) => meaning[e.op as 'lt'](x, y, 0), a, b));
  // equal numbers may also lie inside both
  const meet = a.lo <= b.hi && b.lo <= a.hi && !(isPoint(a) && isPoint(b));
  return seen.size === 1 && !(meet && (e.op === 'eq' || e.op === 'ne')) ? point([...seen][0]!) : undefined;
};
const whole: Rule = (a, b, e) => (isPoint(a) && isPoint(b) ? exact(a, b, e) : undefined);

const rules: {
  readonly [O in Exclude<Expression['op'], 'constant' | 'variable' | 'parameter' | 'table' | 'select'>]: Rule;
} = {
  neg: exact,
  abs: (a, b, e) => (a.lo < 0 && a.hi > 0 ? { lo: 0, hi: Math.max(-a.lo, a.hi) } : exact(a, b, e)),
  sqrt: within(0, rounded),
  exp: transcendental,
  log: within(0, transcendental),
  tanh: transcendental,
  erf: transcendental,
  sin: periodic,
  cos: periodic,
  acos: (a, b, e) =>
    isNaN(a) || (a.lo >= -1 && a.hi <= 1) || a.lo > 1 || a.hi < -1 ? transcendental(a, b, e) : undefined,
  floor: exact,
  ceil: exact,
  add: rounded,
  sub: rounded,
  mul: rounded,
  div: (a, b, e) => (b.lo <= 0 && b.hi >= 0 ? undefined : rounded(a, b, e)),
  floorDiv: whole,
  mod: whole,
  min: exact,
  max: exact,
  pow: (a, b, e) => (a.lo > 0 || (isPoint(a) && isPoint(b)) ? transcendental(a, b, e) : undefined),
  // apart from the half-line where it jumps
  atan2: (a, b, e) =>
    b.lo > 0 || a.lo > 0 || a.hi < 0 || (isPoint(a) && isPoint(b)) ? transcendental(a, b, e) : undefined,
  lt: compared,
  le: compared,
  gt: compared,
  ge: compared,
  eq: compared,
  ne: compared,
  and: exact,
  or: exact,
  not: exact,
  toF32: exact,
  toI32: exact,
};

function tableEntry(e: Expression, indices: readonly Enclosure[]): Known {
  if (!indices.every(isPoint)) return undefined;
  const shape = e.table!.shape;
  const inside = indices.every(({ lo }, d) => lo >= 0 && lo < shape[d]!);
  const flat = indices.reduce((sum, { lo }, d) => sum * shape[d]! + lo, 0);
  return point(inside ? hostData(e.table!)![flat]! : 0);
}

/**
 * Bounds of what f32 code may compute for an expression at a point, whatever it fuses: interval arithmetic around the
 * float64 meaning, one unit in the last place further at every rounding.
 */
export function enclose(expression: Expression, variables: Readonly<Record<string, number>>): Known {
  const known = new Map<Expression, Known>();
  for (const e of topological(expression))
    known.set(
      e,
      one(e, variables, (arg) => known.get(arg)),
    );
  return known.get(expression);
}

function one(e: Expression, variables: Readonly<Record<string, number>>, of: (e: Expression) => Known): Known {
  if (e.op === 'variable') return point(variables[e.name!]!);
  if (e.op === 'constant') return point(e.type === 'f32' ? Math.fround(e.value!) : e.value!);
  if (e.op === 'select') {
    const test = of(e.args[0]!);
    return test && of(test.lo === 0 ? e.args[2]! : e.args[1]!);
  }
  const args = e.args.map(of);
  if (!args.every((arg) => arg !== undefined)) return undefined;
  if (e.op === 'table') return tableEntry(e, args);
  if (e.op === 'parameter') throw new Error('enclose: lift no constants');
  return rules[e.op](args[0]!, args[1]!, e);
}

export const holds = (x: Enclosure, got: number): boolean =>
  isNaN(x) ? Number.isNaN(got) : got >= x.lo && got <= x.hi;
