import { describe } from '../../core/describe.js';
import { OptionError } from '../../core/errors.js';
import { checkValue, oneOf, text, type Requirement } from '../../core/requirements.js';
import { checkList } from '../../core/shape.js';
import {
  constantNode,
  node,
  tableNode,
  variableNode,
  type Expression,
  type ExpressionType,
  type Op,
  type Table,
  type TypedArray,
} from './node.js';

/** An f32 expression, or a number standing for one. */
export type F32Like = F32 | number;
/** An i32 expression, or an integer standing for one. */
export type I32Like = I32 | number;
export type BoolLike = Bool | boolean;

/** What the three typed classes share: they are expressions, copied from a node. */
export abstract class Scalar implements Expression {
  declare readonly op: Op;
  declare readonly args: readonly Expression[];
  declare readonly value?: number;
  declare readonly name?: string;
  declare readonly table?: Table;
  abstract readonly type: ExpressionType;

  constructor(expression: Expression) {
    const { type: _type, ...rest } = expression;
    Object.assign(this, rest);
  }
}

/** A floating-point expression. Numbers may stand wherever an f32 expression is taken. */
export class F32 extends Scalar {
  readonly type = 'f32';

  add(other: F32Like): F32 {
    return new F32(node('add', this, f32(other, 'add')));
  }
  sub(other: F32Like): F32 {
    return new F32(node('sub', this, f32(other, 'sub')));
  }
  mul(other: F32Like): F32 {
    return new F32(node('mul', this, f32(other, 'mul')));
  }
  div(other: F32Like): F32 {
    return new F32(node('div', this, f32(other, 'div')));
  }
  min(other: F32Like): F32 {
    return new F32(node('min', this, f32(other, 'min')));
  }
  max(other: F32Like): F32 {
    return new F32(node('max', this, f32(other, 'max')));
  }
  neg(): F32 {
    return new F32(node('neg', this));
  }
  abs(): F32 {
    return new F32(node('abs', this));
  }
  sqrt(): F32 {
    return new F32(node('sqrt', this));
  }
  exp(): F32 {
    return new F32(node('exp', this));
  }
  log(): F32 {
    return new F32(node('log', this));
  }
  tanh(): F32 {
    return new F32(node('tanh', this));
  }
  erf(): F32 {
    return new F32(node('erf', this));
  }
  sin(): F32 {
    return new F32(node('sin', this));
  }
  cos(): F32 {
    return new F32(node('cos', this));
  }
  floor(): F32 {
    return new F32(node('floor', this));
  }
  ceil(): F32 {
    return new F32(node('ceil', this));
  }
  lt(other: F32Like): Bool {
    return new Bool(node('lt', this, f32(other, 'lt')));
  }
  le(other: F32Like): Bool {
    return new Bool(node('le', this, f32(other, 'le')));
  }
  gt(other: F32Like): Bool {
    return new Bool(node('gt', this, f32(other, 'gt')));
  }
  ge(other: F32Like): Bool {
    return new Bool(node('ge', this, f32(other, 'ge')));
  }
  eq(other: F32Like): Bool {
    return new Bool(node('eq', this, f32(other, 'eq')));
  }
  ne(other: F32Like): Bool {
    return new Bool(node('ne', this, f32(other, 'ne')));
  }
  /** Towards zero; NaN gives 0, values beyond 32 bits the nearest i32. */
  toI32(): I32 {
    return new I32(node('toI32', this));
  }
}

/** An integer expression. Values must stay within 32 bits. */
export class I32 extends Scalar {
  readonly type = 'i32';

  add(other: I32Like): I32 {
    return new I32(node('add', this, i32(other, 'add')));
  }
  sub(other: I32Like): I32 {
    return new I32(node('sub', this, i32(other, 'sub')));
  }
  mul(other: I32Like): I32 {
    return new I32(node('mul', this, i32(other, 'mul')));
  }
  /** `⌊this / other⌋`; 0 where `other` is 0. */
  floorDiv(other: I32Like): I32 {
    return new I32(node('floorDiv', this, i32(other, 'floorDiv')));
  }
  /** `this − other·⌊this / other⌋`, so it has the sign of `other`; 0 where `other` is 0. */
  mod(other: I32Like): I32 {
    return new I32(node('mod', this, i32(other, 'mod')));
  }
  min(other: I32Like): I32 {
    return new I32(node('min', this, i32(other, 'min')));
  }
  max(other: I32Like): I32 {
    return new I32(node('max', this, i32(other, 'max')));
  }
  neg(): I32 {
    return new I32(node('neg', this));
  }
  abs(): I32 {
    return new I32(node('abs', this));
  }
  lt(other: I32Like): Bool {
    return new Bool(node('lt', this, i32(other, 'lt')));
  }
  le(other: I32Like): Bool {
    return new Bool(node('le', this, i32(other, 'le')));
  }
  gt(other: I32Like): Bool {
    return new Bool(node('gt', this, i32(other, 'gt')));
  }
  ge(other: I32Like): Bool {
    return new Bool(node('ge', this, i32(other, 'ge')));
  }
  eq(other: I32Like): Bool {
    return new Bool(node('eq', this, i32(other, 'eq')));
  }
  ne(other: I32Like): Bool {
    return new Bool(node('ne', this, i32(other, 'ne')));
  }
  toF32(): F32 {
    return new F32(node('toF32', this));
  }
}

/** A truth value. */
export class Bool extends Scalar {
  readonly type = 'bool';

  and(other: BoolLike): Bool {
    return new Bool(node('and', this, bool(other, 'and')));
  }
  or(other: BoolLike): Bool {
    return new Bool(node('or', this, bool(other, 'or')));
  }
  not(): Bool {
    return new Bool(node('not', this));
  }
  /** 1 where true, 0 where false. */
  toF32(): F32 {
    return new F32(node('toF32', this));
  }
}

export interface Typed {
  f32: F32;
  i32: I32;
  bool: Bool;
}

/** The fluent form of a node. */
export function wrap<E extends Expression>(expression: E): Typed[E['type']];
export function wrap(expression: Expression): F32 | I32 | Bool {
  if (expression instanceof Scalar) return expression as F32 | I32 | Bool;
  if (expression.type === 'f32') return new F32(expression);
  return expression.type === 'i32' ? new I32(expression) : new Bool(expression);
}

const expressionType = oneOf(['f32', 'i32', 'bool']);
const numberOrBoolean: Requirement = {
  must: 'a number or a boolean',
  holds: (value) => typeof value === 'number' || typeof value === 'boolean',
};

/** A named input of the expression. */
export function variable<T extends ExpressionType>(name: string, type: T): Typed[T] {
  checkValue('variable', 'name', name, text);
  checkValue('variable', 'type', type, expressionType);
  return wrap(variableNode(name, type)) as Typed[T];
}

/** A literal; numbers and booleans given to methods become one by themselves. */
export function constant(value: boolean): Bool;
export function constant(value: number): F32;
export function constant<T extends ExpressionType>(value: number, type: T): Typed[T];
export function constant(value: number | boolean, type?: ExpressionType): F32 | I32 | Bool {
  checkValue('constant', 'value', value, numberOrBoolean);
  if (type !== undefined) checkValue('constant', 'type', type, expressionType);
  return wrap(constantNode(Number(value), type ?? (typeof value === 'boolean' ? 'bool' : 'f32')));
}

/** `whenTrue` where `condition` holds, else `whenFalse`; two numbers give an f32. */
export function select(condition: BoolLike, whenTrue: F32Like, whenFalse: F32Like): F32;
export function select(condition: BoolLike, whenTrue: I32Like, whenFalse: I32Like): I32;
export function select(condition: BoolLike, whenTrue: BoolLike, whenFalse: BoolLike): Bool;
export function select(
  condition: BoolLike,
  whenTrue: Scalar | number | boolean,
  whenFalse: Scalar | number | boolean,
): Scalar {
  const typed = [whenTrue, whenFalse].find((value) => value instanceof Scalar);
  const type = typed?.type ?? (typeof whenTrue === 'boolean' ? 'bool' : 'f32');
  const [a, b] = [coerce(whenTrue, type, 'select'), coerce(whenFalse, type, 'select')];
  return wrap(node('select', bool(condition, 'select'), a, b));
}

/** A table whose dtype is known from its array. */
export type HostTable<A extends TypedArray> = Table & {
  readonly dtype: A extends Float32Array ? 'f32' : A extends Int32Array ? 'i32' : 'u8';
};

/**
 * A table of host data, its dtype taken from the array. The array is not copied and must not change afterwards:
 * bounds of it, and copies on devices, are kept.
 */
export function tableOf<A extends TypedArray>(name: string, data: A, shape?: readonly number[]): HostTable<A>;
export function tableOf(name: string, data: TypedArray, given?: readonly number[]): Table {
  const shape = given === undefined ? [Object(data).length as number] : given;
  checkValue('tableOf', 'name', name, text);
  checkList(`table "${name}"`, 'shape', shape);
  const dtype =
    data instanceof Float32Array
      ? 'f32'
      : data instanceof Int32Array
        ? 'i32'
        : data instanceof Uint8Array
          ? 'u8'
          : undefined;
  if (dtype === undefined)
    throw new OptionError(`table "${name}": data must be a Float32Array, Int32Array or Uint8Array.`);
  if (shape.length === 0 || !shape.every((extent) => Number.isInteger(extent) && extent > 0)) {
    throw new OptionError(
      `table "${name}": shape must be one or more whole numbers of at least 1; got ${describe(shape)}.`,
    );
  }
  if (shape.reduce((size, extent) => size * extent, 1) !== data.length) {
    throw new OptionError(`table "${name}": shape [${shape.join(',')}] does not hold its ${data.length} numbers.`);
  }
  return { name, dtype, shape, source: data };
}

/** Reads a table; an index out of range reads 0. */
export function lookup(table: Table & { readonly dtype: 'f32' }, ...indices: readonly I32Like[]): F32;
export function lookup(table: Table & { readonly dtype: 'i32' | 'u8' }, ...indices: readonly I32Like[]): I32;
export function lookup(table: Table, ...indices: readonly I32Like[]): F32 | I32;
export function lookup(table: Table, ...indices: readonly I32Like[]): F32 | I32 {
  if (!isTable(table)) throw new OptionError(`lookup: takes a table, as tableOf makes; got ${describe(table)}.`);
  const args = indices.map((index) => i32(index, `table "${table.name}"`));
  args.forEach((index, i) => {
    const size = table.shape[i] ?? Infinity;
    if (index.op === 'constant' && (index.value! < 0 || index.value! >= size)) {
      throw new OptionError(
        `table "${table.name}": index ${index.value} is outside 0…${size - 1} along dimension ${i} of shape [${table.shape.join(',')}].`,
      );
    }
  });
  return wrap(tableNode(table, args)) as F32 | I32;
}

function isTable(value: unknown): value is Table {
  const { name, dtype, shape } = Object(value) as Partial<Table>;
  return typeof name === 'string' && typeof dtype === 'string' && Array.isArray(shape);
}

const f32 = (value: F32Like, who: string): Expression => coerce(value, 'f32', who);
const i32 = (value: I32Like, who: string): Expression => coerce(value, 'i32', who);
const bool = (value: BoolLike, who: string): Expression => coerce(value, 'bool', who);

function coerce(value: unknown, type: ExpressionType, who: string): Expression {
  if (typeof value === 'number' && type !== 'bool') return constantNode(value, type);
  if (typeof value === 'boolean' && type === 'bool') return constantNode(Number(value), 'bool');
  if (value instanceof Scalar && value.type === type) return value;
  const remedy =
    value instanceof Scalar && type !== 'bool' ? ` Convert with .${type === 'f32' ? 'toF32' : 'toI32'}().` : '';
  throw new OptionError(
    `${who}: takes an expression of type ${type}${type === 'bool' ? ' or a boolean' : ' or a number'}; got ${describe(value)}.${remedy}`,
  );
}
