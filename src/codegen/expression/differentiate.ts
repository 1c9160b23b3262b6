import { OptionError } from '../../core/errors.js';
import { hostData } from './evaluate.js';
import { constantNode, node, topological, type Expression, type Op, type Table } from './node.js';
import { key } from './print.js';
import { fold, isConstant, simplify } from './simplify.js';

/** The derivative of a node, given those of its arguments, not all zero. Only f32 operations have one. */
type Rule = (e: Expression, ...d: readonly Expression[]) => Expression;

const zero = constantNode(0, 'f32');
const literal = (value: number): Expression => constantNode(value, 'f32');
const isZero = (e: Expression): boolean => isConstant(e, 0);
// here 0 · x is 0 even for an infinite x: the zero stands for "does not depend on"
function times(a: Expression, b: Expression): Expression {
  if (isZero(a) || isZero(b)) return zero;
  // literals are gathered, so that those of a change of scale and back cancel
  const [x, y] = [withFactor(a), withFactor(b)];
  const factor = x.factor * y.factor;
  const rest = x.rest === undefined ? y.rest : y.rest === undefined ? x.rest : fold('mul', x.rest, y.rest);
  return rest === undefined ? literal(factor) : fold('mul', literal(factor), rest);
}
/** `factor · rest` */
function withFactor(e: Expression): { readonly factor: number; readonly rest: Expression | undefined } {
  if (e.op === 'constant') return { factor: e.value!, rest: undefined };
  const literalAt = e.op === 'mul' ? e.args.findIndex((arg) => arg.op === 'constant') : -1;
  return literalAt < 0 ? { factor: 1, rest: e } : { factor: e.args[literalAt]!.value!, rest: e.args[1 - literalAt]! };
}
const over = (a: Expression, b: Expression): Expression => (isZero(a) ? zero : fold('div', a, b));
const square = (e: Expression): Expression => fold('mul', e, e);

/** d f(x) = dx · slope */
const chain =
  (slope: (x: Expression, e: Expression) => Expression): Rule =>
  (e, d) =>
    times(d, slope(e.args[0]!, e));
const choose = (condition: Expression, a: Expression, b: Expression): Expression =>
  isZero(a) && isZero(b) ? zero : fold('select', condition, a, b);
const none: Rule = () => zero;

const rules: { readonly [O in Exclude<Op, 'constant' | 'variable' | 'parameter' | 'table'>]: Rule } = {
  neg: (_, d) => fold('neg', d),
  // at 0 the slope from the right
  abs: (e, d) => choose(node('lt', e.args[0]!, zero), fold('neg', d), d),
  sqrt: (e, d) => over(d, fold('mul', literal(2), e)),
  exp: chain((_, e) => e),
  log: (e, d) => over(d, e.args[0]!),
  tanh: chain((_, e) => fold('sub', literal(1), square(e))),
  erf: chain((x) => fold('mul', literal(2 / Math.sqrt(Math.PI)), fold('exp', fold('neg', square(x))))),
  sin: chain((x) => fold('cos', x)),
  cos: chain((x) => fold('neg', fold('sin', x))),
  // 1 − x² by factors, which cancel nothing near ±1
  acos: (e, d) => {
    const x = e.args[0]!;
    return over(fold('neg', d), fold('sqrt', fold('mul', fold('sub', literal(1), x), fold('add', literal(1), x))));
  },
  add: (_, da, db) => fold('add', da, db),
  sub: (_, da, db) => fold('sub', da, db),
  mul: (e, da, db) => fold('add', times(da, e.args[1]!), times(e.args[0]!, db)),
  div: (e, da, db) => over(fold('sub', da, times(e, db)), e.args[1]!),
  // at a tie the second argument's, the one the kernels return
  min: (e, da, db) => choose(node('lt', e.args[0]!, e.args[1]!), da, db),
  max: (e, da, db) => choose(node('gt', e.args[0]!, e.args[1]!), da, db),
  pow: (e, da, db) => {
    const [x, y] = e.args as readonly [Expression, Expression];
    // the limits, where a factor is infinite or x has no logarithm: 0 · x^(−1), and 0^y · ln 0 for y ≥ 0
    const slope = choose(node('eq', y, zero), zero, times(y, fold('pow', x, fold('sub', y, literal(1)))));
    const flat = node('and', node('eq', x, zero), node('ge', y, zero));
    return fold('add', times(da, slope), times(db, choose(flat, zero, times(e, fold('log', x)))));
  },
  atan2: (e, dy, dx) => {
    const [y, x] = e.args as readonly [Expression, Expression];
    return over(fold('sub', times(dy, x), times(dx, y)), fold('add', square(x), square(y)));
  },
  select: (e, _, da, db) => choose(e.args[0]!, da, db),
  // constant almost everywhere, or not f32
  floor: none,
  ceil: none,
  floorDiv: none,
  mod: none,
  toI32: none,
  toF32: none,
  lt: none,
  le: none,
  gt: none,
  ge: none,
  eq: none,
  ne: none,
  and: none,
  or: none,
  not: none,
};

/** The derivative of `expression` when the nodes that `isTarget` picks are the independent variable. */
function derive(expression: Expression, isTarget: (e: Expression) => boolean): Expression {
  const derivatives = new Map<Expression, Expression>();
  for (const e of topological(expression)) {
    const d = e.args.map((arg) => derivatives.get(arg)!);
    const leaf = e.op === 'constant' || e.op === 'variable' || e.op === 'parameter' || e.op === 'table';
    derivatives.set(
      e,
      isTarget(e) ? literal(1) : leaf || e.type !== 'f32' || d.every(isZero) ? zero : rules[e.op](e, ...d),
    );
  }
  return simplify(derivatives.get(expression)!);
}

/**
 * The symbolic derivative of an f32 expression by an f32 variable, simplified. Comparisons, rounding and conversions count
 * as constant; `abs`, `min`, `max` and `select` are taken piecewise.
 */
export function differentiate(expression: Expression, variableName: string): Expression {
  if (expression.type !== 'f32')
    throw new OptionError(`differentiate: takes an f32 expression; got ${expression.type}.`);
  return derive(expression, (e) => {
    if (e.op !== 'variable' || e.name !== variableName) return false;
    if (e.type !== 'f32')
      throw new OptionError(`differentiate: "${variableName}" is ${e.type}; only f32 variables have derivatives.`);
    return true;
  });
}

/** One place of an expression that reads a learned table, and what the expression's value changes by per change read. */
export interface TableGradient {
  readonly table: Table;
  readonly indices: readonly Expression[];
  readonly factor: Expression;
}

/**
 * The gradients an expression sends into f32 tables, by default those that are no host data: scatter-add
 * `cotangent · factor` at `indices`, for each entry. Reads of one table at structurally equal indices are one entry. Entries whose
 * factor is 0 are left out.
 */
export function differentiateTable(
  expression: Expression,
  wanted: Table | ((table: Table) => boolean) = (table) => hostData(table) === undefined,
): readonly TableGradient[] {
  const accepts = typeof wanted === 'function' ? wanted : (table: Table) => table === wanted;
  const reads = topological(expression).filter((e) => e.table?.dtype === 'f32' && accepts(e.table));
  const groups = new Map<string, Expression[]>();
  const tables = [...new Set(reads.map((e) => e.table!))];
  for (const read of reads) {
    // the key names tables by their place in the one read, so their identity is added
    const name = `${tables.indexOf(read.table!)}:${key(read)}`;
    groups.set(name, [...(groups.get(name) ?? []), read]);
  }
  return [...groups.values()]
    .map((group) => ({
      table: group[0]!.table!,
      indices: group[0]!.args,
      factor: derive(expression, (e) => group.includes(e)),
    }))
    .filter((entry) => !isZero(entry.factor));
}
