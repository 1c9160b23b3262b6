import * as fc from 'fast-check';
import {
  constant,
  node,
  tableOf,
  variable,
  wrap,
  type Bool,
  type Expression,
  type F32,
  type I32,
  type Table,
} from '../../../src/codegen/expression/index.js';

/** Random expressions over the f32 variables x, y and the i32 variables q, k, with integer values small enough for i32. */
export interface Expressions {
  readonly f32: fc.Arbitrary<F32>;
  readonly i32: fc.Arbitrary<I32>;
  readonly bool: fc.Arbitrary<Bool>;
}

const numbers = tableOf('numbers', Float32Array.from([0.5, -1.25, 3, 0, 2, -7.5]), [2, 3]);
const integers = tableOf('integers', Int32Array.from([4, -2, 9, 0, 1]));
const flags = tableOf('flags', Uint8Array.from([0, 1, 1, 0]));

// not lookup(), which refuses literals out of range
const read = (table: Table, ...args: Expression[]): Expression => ({
  op: 'table',
  type: table.dtype === 'f32' ? 'f32' : 'i32',
  args,
  table,
});

type Inner = Parameters<typeof node>[0];
const pick = (...ops: Inner[]): fc.Arbitrary<Inner> => fc.constantFrom(...ops);

const built = fc.letrec<{ f32: Expression; i32: Expression; bool: Expression }>((tie) => {
  const apply = (op: fc.Arbitrary<Inner>, ...types: ('f32' | 'i32' | 'bool')[]): fc.Arbitrary<Expression> =>
    fc.tuple(op, ...types.map((type) => tie(type))).map(([name, ...args]) => node(name, ...args));
  const divisor = fc.integer({ min: -9, max: 9 }).map((value) => constant(value === 0 ? 5 : value, 'i32'));
  return {
    f32: fc.oneof(
      { maxDepth: 4, depthSize: 'small', withCrossShrink: true },
      fc.constantFrom<Expression>(
        variable('x', 'f32'),
        variable('y', 'f32'),
        constant(0.5),
        constant(2),
        constant(-0.3),
      ),
      apply(pick('neg', 'abs', 'sqrt', 'exp', 'log', 'tanh', 'erf', 'sin', 'cos', 'acos', 'floor', 'ceil'), 'f32'),
      apply(pick('add', 'sub', 'mul', 'div', 'min', 'max', 'pow', 'atan2'), 'f32', 'f32'),
      apply(pick('select'), 'bool', 'f32', 'f32'),
      apply(pick('toF32'), 'i32'),
      apply(pick('toF32'), 'bool'),
      fc.tuple(tie('i32'), tie('i32')).map(([i, j]) => read(numbers, i, j)),
    ),
    i32: fc.oneof(
      { maxDepth: 4, depthSize: 'small', withCrossShrink: true },
      fc.constantFrom<Expression>(variable('q', 'i32'), variable('k', 'i32'), constant(1, 'i32'), constant(-4, 'i32')),
      apply(pick('neg', 'abs'), 'i32'),
      apply(pick('add', 'sub', 'min', 'max', 'floorDiv', 'mod'), 'i32', 'i32').filter(
        (e) => !(e.op === 'floorDiv' || e.op === 'mod') || e.args[1]!.value !== 0,
      ),
      fc.tuple(pick('mul', 'floorDiv', 'mod'), tie('i32'), divisor).map(([op, a, b]) => node(op, a, b)),
      apply(pick('select'), 'bool', 'i32', 'i32'),
      apply(pick('toI32'), 'f32').map((e) => node('max', constant(-99, 'i32'), node('min', e, constant(99, 'i32')))),
      tie('i32').map((i) => read(integers, i)),
      tie('i32').map((i) => read(flags, i)),
    ),
    bool: fc.oneof(
      { maxDepth: 4, depthSize: 'small', withCrossShrink: true },
      apply(pick('lt', 'le', 'gt', 'ge', 'eq', 'ne'), 'i32', 'i32'),
      apply(pick('lt', 'le', 'gt', 'ge', 'eq', 'ne'), 'f32', 'f32'),
      apply(pick('and', 'or'), 'bool', 'bool'),
      apply(pick('not'), 'bool'),
    ),
  };
});

export const expressions: Expressions = {
  f32: built.f32.map((e) => wrap(e) as F32),
  i32: built.i32.map((e) => wrap(e) as I32),
  bool: built.bool.map((e) => wrap(e) as Bool),
};

export const anyExpression: fc.Arbitrary<Expression> = fc.oneof(expressions.f32, expressions.i32, expressions.bool);

/** A value for each variable. */
export const point = fc.record({
  x: fc.float({ min: -4, max: 4, noNaN: true }),
  y: fc.float({ min: -4, max: 4, noNaN: true }),
  q: fc.integer({ min: -12, max: 12 }),
  k: fc.integer({ min: -12, max: 12 }),
});
