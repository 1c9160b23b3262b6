import { describe } from '../../core/describe.js';
import { OptionError } from '../../core/errors.js';
import { checkValue, oneOf, text, type Requirement } from '../../core/requirements.js';
import { constantNode, node, variableNode, type Expression, type ExpressionType, type Op, type Table } from './node.js';

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
  /** Arc cosine in radians, from 0 to π; NaN outside [−1, 1]. */
  acos(): F32 {
    return new F32(node('acos', this));
  }
  /** Angle of the point (x, y) in radians, from −π to π, where y is this expression. */
  atan2(x: F32Like): F32 {
    return new F32(node('atan2', this, f32(x, 'atan2')));
  }
  /**
   * The power. Literal exponents ±½ and whole ones up to ±32 are roots, products and quotients; every other power is within 2 ulp on CPUs,
   * with the special values of ECMAScript's `**`: NaN for a negative base unless the exponent is a whole number, 1 for exponent 0.
   */
  pow(exponent: F32Like): F32 {
    if (exponent === 0.5) return this.sqrt();
    if (exponent === -0.5) return constant(1).div(this.sqrt());
    if (typeof exponent === 'number' && Number.isInteger(exponent) && Math.abs(exponent) <= 32) {
      const positive = wholePower(this, Math.abs(exponent));
      return exponent < 0 ? constant(1).div(positive) : positive;
    }
    return new F32(node('pow', this, f32(exponent, 'pow')));
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

function wholePower(x: F32, exponent: number): F32 {
  if (exponent === 0) return constant(1);
  if (exponent === 1) return x;
  const half = wholePower(x, exponent >> 1);
  const even = half.mul(half);
  return exponent % 2 === 0 ? even : even.mul(x);
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

const f32 = (value: F32Like, who: string): Expression => coerce(value, 'f32', who);
/** The expression that an integer or an i32 expression is; `who` asks. @internal */
export const i32 = (value: I32Like, who: string): Expression => coerce(value, 'i32', who);
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
