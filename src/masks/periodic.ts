import {
  constant,
  differences,
  fold,
  freeVariables,
  node,
  rebuild,
  simplify,
  substitute,
  variable,
  wrap,
  type Bool,
  type Expression,
} from '../codegen/expression/index.js';
import { checkBool } from './place.js';

/** A mask that only lets positions of one residue class modulo `period` see each other. */
export interface Periodicity {
  readonly period: number;
  /**
   * The mask inside one class, where q = period·q' + c and k = period·k' + c: a boolean over b, h, and q', k' under the names
   * q and k. The variable `c`, the class, occurs only if the mask reads q or k other than through q − k.
   */
  readonly expression: Bool;
  readonly usesClass: boolean;
}

/**
 * Finds whether a mask implies `(q − k) mod period = 0` for some period > 1, as dilated windows and strided summaries do.
 *
 * Such attention is `period` independent dense ones: gather the rows whose positions are ≡ c (positions, not row
 * indices: row i has q = i + S − L) of queries, keys and values, attend with `expression`, and scatter back. A tile of the
 * gathered matrix is then full where the original had one pair in `period`. Position p goes to ⌊p / period⌋ of class p mod period.
 */
export function periodicity(expression: Expression): Periodicity | undefined {
  checkBool('periodicity', expression);
  const mask = differences(expression);
  const period = impliedPeriod(mask);
  if (period <= 1 || !Number.isFinite(period)) return undefined;
  const scale = (name: string): Expression => fold('mul', variable(name, 'i32'), constant(period, 'i32'));
  const inClass = (name: string): Expression => node('add', scale(name), variable('c', 'i32'));
  const rewritten = unscale(substitute(mask, { d: scale('d'), q: inClass('q'), k: inClass('k') }));
  const d = node('sub', variable('q', 'i32'), variable('k', 'i32'));
  const result = wrap(simplify(substitute(rewritten, { d }))) as Bool;
  return { period, expression: result, usesClass: freeVariables(result).has('c') };
}

/** The largest known p such that the mask implies d mod p = 0: 1 is nothing known, ∞ is never or only d = 0. */
function impliedPeriod(e: Expression): number {
  if (e.op === 'and') return e.args.map(impliedPeriod).reduce(leastMultiple);
  if (e.op === 'or') return e.args.map(impliedPeriod).reduce(greatestDivisor);
  if (e.op === 'constant') return e.value === 0 ? Infinity : 1;
  if (e.op !== 'eq' || e.args[1]!.op !== 'constant' || e.args[1]!.value !== 0) return 1;
  const [left] = e.args as readonly [Expression];
  if (isDifference(left)) return Infinity;
  const divisor = left.op === 'mod' && isDifference(left.args[0]!) ? left.args[1]! : undefined;
  return divisor?.op === 'constant' ? Math.abs(divisor.value!) : 1;
}

function isDifference(e: Expression): boolean {
  return (e.op === 'variable' && e.name === 'd') || (e.op === 'neg' && isDifference(e.args[0]!));
}

function greatestDivisor(a: number, b: number): number {
  if (a === Infinity || b === Infinity) return Math.min(a, b);
  return b === 0 ? a : greatestDivisor(b, a % b);
}

function leastMultiple(a: number, b: number): number {
  return a === Infinity || b === Infinity ? Infinity : (a / greatestDivisor(a, b)) * b;
}

/** `x · factor` with a literal factor > 1, or undefined. */
function scaled(e: Expression): { readonly x: Expression; readonly factor: number } | undefined {
  if (e.op !== 'mul') return undefined;
  const [a, b] = e.args as readonly [Expression, Expression];
  const [x, factor] = a.op === 'constant' ? [b, a] : [a, b];
  return factor.op === 'constant' && factor.value! > 1 ? { x, factor: factor.value! } : undefined;
}

const times = (x: Expression, factor: number): Expression => fold('mul', x, constant(factor, 'i32'));

/** Takes literal factors out of |x|, −x, mod and ⌊ / ⌋, and divides comparisons with a literal by them. */
function unscale(expression: Expression): Expression {
  return rebuild(simplify(expression), (e) => {
    const left = e.args[0] === undefined ? undefined : scaled(e.args[0]);
    if (left === undefined || e.type === 'f32') return e;
    const { x, factor } = left;
    if (e.op === 'abs' || e.op === 'neg') return times(fold(e.op, x), factor);
    const right = e.args[1];
    if (right?.op !== 'constant') return e;
    const value = right.value!;
    if (e.op === 'mul') return Math.abs(factor * value) < 2 ** 31 ? times(x, factor * value) : e;
    if (e.op === 'mod' && factor % value === 0) return constant(0, 'i32');
    if (e.op === 'mod' && value % factor === 0) return times(fold('mod', x, constant(value / factor, 'i32')), factor);
    if (e.op === 'floorDiv' && value % factor === 0) return fold('floorDiv', x, constant(value / factor, 'i32'));
    if (e.op === 'floorDiv' && factor % value === 0) return times(x, factor / value);
    return compared(e, x, value / factor) ?? e;
  });
}

/** `factor · x ⋈ value` as `x ⋈ value / factor`, rounded to the side that keeps its meaning. */
function compared(e: Expression, x: Expression, bound: number): Expression | undefined {
  const against = (rounded: number): Expression => fold(e.op as 'le', x, constant(rounded, 'i32'));
  if (e.op === 'le' || e.op === 'gt') return against(Math.floor(bound));
  if (e.op === 'lt' || e.op === 'ge') return against(Math.ceil(bound));
  if (e.op !== 'eq' && e.op !== 'ne') return undefined;
  return Number.isInteger(bound) ? against(bound) : constant(e.op === 'ne');
}
