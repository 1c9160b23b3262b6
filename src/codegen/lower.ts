import type { Expression, Op, Table } from './expression/index.js';
import { topological } from './expression/index.js';
import { acos, atan2 } from './inverse-trigonometric.js';
import * as math from './math.js';
import { pow } from './power.js';
import type { F32, I32, Kind, Pointer, Value, VectorBuilder, VF, VI } from './vector.js';

/** A lowered expression: one scalar for all lanes (bool: 0 or 1), or a vector (bool: lanes 0 or −1). */
export type Lowered = F32 | I32 | VF | VI;

/** Where a table lies: its elements, and its dimensions as program values. */
export interface TableBinding {
  readonly pointer: Pointer;
  readonly dimensions: readonly I32[];
}

export interface Environment {
  readonly variables: Readonly<Record<string, Lowered>>;
  /** A lifted constant. */
  readonly parameter?: (slot: number, type: 'f32' | 'i32') => F32 | I32;
  readonly table?: (table: Table) => TableBinding;
  /** Whether a table read may be out of range, where it must give 0. Default: always. */
  readonly checked?: (read: Expression) => boolean;
}

type Rule = (k: VectorBuilder, args: readonly Lowered[], node: Expression, environment: Environment) => Lowered;

const isVector = (value: Lowered): value is VF | VI => value.kind === 'vf' || value.kind === 'vi';

/** The value in all lanes. */
function widen(k: VectorBuilder, value: Lowered, type: Expression['type']): VF | VI {
  if (isVector(value)) return value;
  if (value.kind === 'f32') return k.splat(value);
  return k.splat(type === 'bool' ? k.sub(k.constant('i32', 0), value) : value);
}

/** Widens all arguments if one of them is a vector. */
function alike(k: VectorBuilder, args: readonly Lowered[], node: Expression): readonly Lowered[] {
  if (!args.some(isVector)) return args;
  return args.map((arg, i) => widen(k, arg, node.args[i]!.type));
}

// the builder's methods are the same for scalars and vectors, so rules are written for vectors
type Elementwise = (k: VectorBuilder, ...args: never[]) => VF | VI;
const elementwise =
  (form: Elementwise): Rule =>
  (k, args, node) =>
    form(k, ...(alike(k, args, node) as never[]));

/** A vector function, applied to scalars through lane 0. */
const transcendental =
  (form: (k: VectorBuilder, ...args: VF[]) => VF): Rule =>
  (k, args, node) => {
    const out = form(k, ...args.map((arg) => widen(k, arg, node.type) as VF));
    return args.some(isVector) ? out : k.lane(out, 0);
  };

const isInteger = (x: Lowered): boolean => x.kind === 'i32' || x.kind === 'vi';
/** A constant of the kind of `like`. */
const constantLike = <K extends Kind>(k: VectorBuilder, like: Value<K>, value: number): Value<K> =>
  k.constant(like.kind, value);

/** Quotient and remainder rounding to −∞; both 0 where the divisor is 0. */
function floorDivision(k: VectorBuilder, a: VI, divisor: VI): { quotient: VI; remainder: VI } {
  const none = k.eq(divisor, 0);
  const b = k.select(none, constantLike(k, divisor, 1), divisor);
  // float quotients of 24 bits, twice: the second divides what the first left
  const estimate = (x: VI): VI => k.toInt(k.trunc(k.div(k.toFloat(x), k.toFloat(b))));
  let quotient: VI;
  if (isVector(a)) {
    const first = estimate(a);
    quotient = k.add(first, estimate(k.sub(a, k.mul(first, b))));
  } else {
    const [dividend, by] = [a, b] as Lowered[] as [I32, I32];
    // −2³¹ / −1 would end the process
    const sign = k.select(k.eq(by, -1), by, 1);
    quotient = k.div(k.mul(dividend, sign), k.mul(by, sign)) as Lowered as VI;
  }
  const remainder = k.sub(a, k.mul(quotient, b));
  const opposite = k.and(k.lt(k.xor(remainder, b), 0), k.ne(remainder, 0));
  return {
    quotient: k.select(none, constantLike(k, a, 0), k.select(opposite, k.sub(quotient, 1), quotient)),
    remainder: k.select(opposite, k.add(remainder, b), remainder),
  };
}

const compare = (name: 'lt' | 'le' | 'gt' | 'ge' | 'eq' | 'ne'): Rule =>
  elementwise((k, a: VF, b: VF) => k[name](a, b));

const rules: { readonly [O in Exclude<Op, 'variable'>]: Rule } = {
  constant: (k, _, node) => k.constant(node.type === 'f32' ? 'f32' : 'i32', node.value!),
  parameter: (_k, _a, node, environment) => environment.parameter!(node.value!, node.type as 'f32' | 'i32'),
  table: readTable,
  neg: elementwise((k, x: VF) => (isInteger(x) ? k.sub(constantLike(k, x, 0), x) : k.neg(x))),
  abs: elementwise((k, x: VF) => (isInteger(x) ? k.max(x, k.sub(constantLike(k, x, 0), x)) : k.abs(x))),
  sqrt: elementwise((k, x: VF) => k.sqrt(x)),
  exp: transcendental(math.exp),
  log: transcendental(math.log),
  tanh: transcendental(math.tanh),
  erf: transcendental(math.erf),
  sin: transcendental(math.sin),
  cos: transcendental(math.cos),
  acos: transcendental(acos),
  floor: elementwise((k, x: VF) => k.floor(x)),
  ceil: elementwise((k, x: VF) => k.ceil(x)),
  add: elementwise((k, a: VF, b: VF) => k.add(a, b)),
  sub: elementwise((k, a: VF, b: VF) => k.sub(a, b)),
  mul: elementwise((k, a: VF, b: VF) => k.mul(a, b)),
  div: elementwise((k, a: VF, b: VF) => k.div(a, b)),
  floorDiv: elementwise((k, a: VI, b: VI) => floorDivision(k, a, b).quotient),
  mod: elementwise((k, a: VI, b: VI) => floorDivision(k, a, b).remainder),
  // NaN of either side propagates
  min: elementwise((k, a: VF, b: VF) => k.select(k.ne(b, b), b, k.min(a, b))),
  max: elementwise((k, a: VF, b: VF) => k.select(k.ne(b, b), b, k.max(a, b))),
  pow: transcendental(pow),
  atan2: transcendental(atan2),
  lt: compare('lt'),
  le: compare('le'),
  gt: compare('gt'),
  ge: compare('ge'),
  eq: compare('eq'),
  ne: compare('ne'),
  and: elementwise((k, a: VI, b: VI) => k.and(a, b)),
  or: elementwise((k, a: VI, b: VI) => k.or(a, b)),
  not: elementwise((k, a: VI) => k.xor(a, isVector(a) ? -1 : 1)),
  select: elementwise((k, test: VI, a: VF, b: VF) => k.select(test, a, b)),
  toF32: (k, [x], node) => {
    const value = x as I32;
    if ((x as Lowered).kind === 'vi' && node.args[0]!.type === 'bool') return k.toFloat(k.and(x as VI, 1));
    return k.toFloat(value);
  },
  // the machines differ where the builder leaves it open: NaN gives 0, what is out of range the nearest i32
  toI32: elementwise((k, x: VF) => {
    const inside = k.lt(k.abs(x), 2147483648);
    const whole = k.toInt(k.select(inside, x, 0));
    const limit = k.select(k.gt(x, 0), constantLike(k, whole, 2147483647), -2147483648);
    return k.select(inside, whole, k.select(k.eq(x, x), limit, 0));
  }),
};

/** Reads `table[indices]`, 0 where an index is out of range. */
function readTable(k: VectorBuilder, args: readonly Lowered[], node: Expression, environment: Environment): Lowered {
  const table = node.table!;
  const { pointer, dimensions } = environment.table!(table);
  const indices = alike(k, args, node) as VI[];
  const vector = indices.some(isVector);
  const sizes = dimensions.map((size) => (vector ? k.splat(size) : size) as VI);
  let inside: VI | undefined;
  if (environment.checked?.(node) !== false) {
    for (const [d, index] of indices.entries()) {
      const within = k.and(k.ge(index, 0), k.lt(index, sizes[d]!));
      inside = inside === undefined ? within : k.and(inside, within);
    }
  }
  let flat = indices[0]!;
  for (let d = 1; d < indices.length; d++) flat = k.add(k.mul(flat, sizes[d]!), indices[d]!);
  if (inside !== undefined) flat = k.select(inside, flat, 0);
  const value = vector ? gather(k, table, pointer, flat) : load(k, table, pointer, flat as Lowered as I32);
  return inside === undefined ? value : k.select(inside, value as VF, 0);
}

function load(k: VectorBuilder, table: Table, pointer: Pointer, index: I32): F32 | I32 {
  if (table.dtype === 'u8') return k.loadU8(k.offset(pointer, index, 1));
  return table.dtype === 'f32' ? k.loadF32(k.offset(pointer, index, 4)) : k.loadI32(k.offset(pointer, index, 4));
}

function gather(k: VectorBuilder, table: Table, pointer: Pointer, index: VI): VF | VI {
  return table.dtype === 'f32'
    ? k.gatherVF(pointer, index)
    : k.gatherVI(pointer, index, table.dtype === 'u8' ? 'vu8' : 'vi');
}

/**
 * Writes an expression into a kernel. Parts that do not depend on a vector variable stay scalar, and every node is
 * computed once.
 */
export function lower(k: VectorBuilder, expression: Expression, environment: Environment): Lowered {
  const values = new Map<Expression, Lowered>();
  for (const node of topological(expression)) {
    const args = node.args.map((arg) => values.get(arg)!);
    values.set(
      node,
      node.op === 'variable' ? environment.variables[node.name!]! : rules[node.op](k, args, node, environment),
    );
  }
  return values.get(expression)!;
}

/** As `lower`, with the result in all lanes. */
export function lowerVector(k: VectorBuilder, expression: Expression, environment: Environment): VF | VI {
  return widen(k, lower(k, expression, environment), expression.type);
}
