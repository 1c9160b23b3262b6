import { OptionError } from '../../core/errors.js';

export type ExpressionType = 'f32' | 'i32' | 'bool';

export type Op =
  | 'constant'
  | 'variable'
  | 'parameter'
  | 'table'
  | 'neg'
  | 'abs'
  | 'sqrt'
  | 'exp'
  | 'log'
  | 'tanh'
  | 'erf'
  | 'sin'
  | 'cos'
  | 'acos'
  | 'floor'
  | 'ceil'
  | 'add'
  | 'sub'
  | 'mul'
  | 'div'
  | 'floorDiv'
  | 'mod'
  | 'min'
  | 'max'
  | 'pow'
  | 'atan2'
  | 'lt'
  | 'le'
  | 'gt'
  | 'ge'
  | 'eq'
  | 'ne'
  | 'and'
  | 'or'
  | 'not'
  | 'select'
  | 'toF32'
  | 'toI32';

export type TypedArray = Float32Array | Int32Array | Uint8Array;

/**
 * Numbers an expression may read by integer index; `u8` and `i32` tables read as i32. An index outside `shape` reads 0.
 * `source` is host data, or an opaque device tensor (learned tables of scores, to which gradients flow).
 */
export interface Table {
  readonly name: string;
  readonly dtype: 'f32' | 'i32' | 'u8';
  readonly shape: readonly number[];
  readonly source: TypedArray | object;
}

/**
 * A scalar computation. Nodes are immutable and may be shared, so an expression is a directed acyclic graph.
 *
 * `value`: the number of a constant (bool: 0 or 1), or the slot of a lifted parameter. `name`: of a variable.
 */
export interface Expression {
  readonly op: Op;
  readonly type: ExpressionType;
  readonly args: readonly Expression[];
  readonly value?: number;
  readonly name?: string;
  readonly table?: Table;
}

type Leaf = 'constant' | 'variable' | 'parameter' | 'table';
type Signature = readonly [args: readonly ExpressionType[], result: ExpressionType];

const f32Unary: readonly Signature[] = [[['f32'], 'f32']];
const anyUnary: readonly Signature[] = [
  [['f32'], 'f32'],
  [['i32'], 'i32'],
];
const f32Binary: readonly Signature[] = [[['f32', 'f32'], 'f32']];
const i32Binary: readonly Signature[] = [[['i32', 'i32'], 'i32']];
const anyBinary: readonly Signature[] = [
  [['f32', 'f32'], 'f32'],
  [['i32', 'i32'], 'i32'],
];
const comparison: readonly Signature[] = [
  [['f32', 'f32'], 'bool'],
  [['i32', 'i32'], 'bool'],
];
const logic: readonly Signature[] = [[['bool', 'bool'], 'bool']];

/** The argument and result types of every operation that is not a leaf. */
export const signatures: { readonly [O in Exclude<Op, Leaf>]: readonly Signature[] } = {
  neg: anyUnary,
  abs: anyUnary,
  sqrt: f32Unary,
  exp: f32Unary,
  log: f32Unary,
  tanh: f32Unary,
  erf: f32Unary,
  sin: f32Unary,
  cos: f32Unary,
  acos: f32Unary,
  floor: f32Unary,
  ceil: f32Unary,
  add: anyBinary,
  sub: anyBinary,
  mul: anyBinary,
  div: f32Binary,
  floorDiv: i32Binary,
  mod: i32Binary,
  min: anyBinary,
  max: anyBinary,
  pow: f32Binary,
  atan2: f32Binary,
  lt: comparison,
  le: comparison,
  gt: comparison,
  ge: comparison,
  eq: comparison,
  ne: comparison,
  and: logic,
  or: logic,
  not: [[['bool'], 'bool']],
  select: [
    [['bool', 'f32', 'f32'], 'f32'],
    [['bool', 'i32', 'i32'], 'i32'],
    [['bool', 'bool', 'bool'], 'bool'],
  ],
  toF32: [
    [['i32'], 'f32'],
    [['bool'], 'f32'],
  ],
  toI32: [[['f32'], 'i32']],
};

/** A checked node of operation `op`; throws an OptionError sentence when the argument types do not fit. */
export function node(op: Exclude<Op, Leaf>, ...args: readonly Expression[]): Expression {
  const signature = signatures[op].find(
    ([types]) => types.length === args.length && types.every((type, i) => args[i]!.type === type),
  );
  if (signature === undefined) {
    const wanted = signatures[op].map(([types]) => `(${types.join(', ')})`).join(' or ');
    const got = args.map((arg) => arg.type).join(', ');
    throw new OptionError(`${op}: takes ${wanted}; got (${got}). Convert with .toF32() or .toI32().`);
  }
  const divisor = op === 'floorDiv' || op === 'mod' ? args[1]! : undefined;
  if (divisor?.op === 'constant' && divisor.value === 0) throw new OptionError(`${op}: the divisor must not be 0.`);
  return { op, type: signature[1], args };
}

export function constantNode(value: number, type: ExpressionType): Expression {
  if (type === 'i32' && !(Number.isInteger(value) && Math.abs(value) <= 2 ** 31 - 1)) {
    throw new OptionError(`constant: an i32 must be an integer below 2^31 in size; got ${value}.`);
  }
  if (Number.isNaN(value)) throw new OptionError('constant: must be a number; got NaN.');
  // 0 and -0 are one i32, and must be one key
  return { op: 'constant', type, args: [], value: type === 'i32' ? value + 0 : value };
}

export function variableNode(name: string, type: ExpressionType): Expression {
  return { op: 'variable', type, args: [], name };
}

export function tableNode(table: Table, indices: readonly Expression[]): Expression {
  if (indices.length !== table.shape.length || indices.some((index) => index.type !== 'i32')) {
    const got = indices.map((index) => index.type).join(', ');
    throw new OptionError(
      `table "${table.name}": takes ${table.shape.length} i32 indices (shape [${table.shape.join(',')}]); got (${got}).`,
    );
  }
  return { op: 'table', type: table.dtype === 'f32' ? 'f32' : 'i32', args: indices, table };
}

/** The same node over other arguments of the same types. */
export function withArgs(expression: Expression, args: readonly Expression[]): Expression {
  if (args.every((arg, i) => arg === expression.args[i])) return expression;
  const { op, type } = expression;
  return expression.table === undefined ? { op, type, args } : { op, type, args, table: expression.table };
}

/** Distinct node objects, every argument before its user. */
export function topological(expression: Expression): Expression[] {
  const seen = new Set<Expression>();
  const order: Expression[] = [];
  const visit = (e: Expression): void => {
    if (seen.has(e)) return;
    seen.add(e);
    e.args.forEach(visit);
    order.push(e);
  };
  visit(expression);
  return order;
}

/** Rebuilds the graph bottom-up: `rewrite` receives each node with its arguments already rewritten. */
export function rebuild(
  expression: Expression,
  rewrite: (node: Expression, original: Expression) => Expression,
): Expression {
  const done = new Map<Expression, Expression>();
  for (const e of topological(expression))
    done.set(
      e,
      rewrite(
        withArgs(
          e,
          e.args.map((arg) => done.get(arg)!),
        ),
        e,
      ),
    );
  return done.get(expression)!;
}

/** Names of the variables an expression reads. */
export function freeVariables(expression: Expression): ReadonlySet<string> {
  const names = new Set<string>();
  for (const e of topological(expression)) if (e.op === 'variable') names.add(e.name!);
  return names;
}

/** The distinct tables an expression reads, in order of first use: the order in which a kernel binds them. */
export function tablesOf(expression: Expression): readonly Table[] {
  const tables = new Set<Table>();
  for (const e of topological(expression)) if (e.table !== undefined) tables.add(e.table);
  return [...tables];
}

/** Replaces variables by expressions of the same type. */
export function substitute(expression: Expression, by: Readonly<Record<string, Expression>>): Expression {
  return rebuild(expression, (e) => {
    const replacement = e.op === 'variable' && Object.hasOwn(by, e.name!) ? by[e.name!]! : e;
    if (replacement.type !== e.type) {
      throw new OptionError(`substitute: variable "${e.name}" is ${e.type}; its replacement is ${replacement.type}.`);
    }
    return replacement;
  });
}

/** Whether a value is an expression, built by this module or by its fluent form. */
export const isExpression = (value: unknown): value is Expression => {
  const { op, type, args } = Object(value) as Partial<Expression>;
  return typeof op === 'string' && typeof type === 'string' && Array.isArray(args);
};
