import {
  differentiate,
  freeVariables,
  isExpression,
  simplify,
  topological,
  variable,
  wrap,
  type Expression,
  type F32,
} from '../codegen/expression/index.js';
import { describe } from '../core/describe.js';
import { isFloat, type Dtype, type FloatDtype } from '../core/dtype.js';
import { OptionError } from '../core/errors.js';
import { memoised } from '../core/memo.js';
import { broadcastShapes, sameShape } from '../core/shape.js';
import { runElementwise } from '../tensor/elementwise.js';
import { commonDevice, empty, operation, produce, records, type Tensor } from '../tensor/index.js';
import { sumTo } from './reduce.js';

/** A scalar function: of f32 arguments in order, or an expression over the variables `x0`, `x1`, …. */
export type Scalar = Expression | ((...x: F32[]) => Expression);

/**
 * `out[i] = f(x0[i], x1[i], …)` for any scalar expression, over inputs that broadcast to one shape (aligned at the last
 * axis, extents equal or 1). Computed in f32; differentiable in its float inputs by the expression's symbolic derivative.
 *
 * Every input is converted to f32 on load (an i32 beyond ±2²⁴ is rounded), unless the expression itself names an `i32`
 * variable. A boolean result is u8, an i32 result is i32; an f32 result is f16 or bf16 when all float inputs are, else f32.
 *
 * @throws ShapeError when the shapes do not broadcast.
 * @throws OptionError for tensors on different devices, or an expression with other variables or tables.
 *
 * @example
 * const x = tensor([-4, 6], [2], { device });
 * map((x, slope) => select(x.lt(0), x.mul(slope), x), x, tensor([0.5], [1], { device })); // [-2, 6]
 */
export function map(f: Scalar, ...inputs: readonly Tensor[]): Tensor {
  return mapNamed('map', f, inputs);
}

/** `map` that names the calling operation in messages. */
export function mapNamed(who: string, f: Scalar, inputs: readonly Tensor[], dtype?: Dtype): Tensor {
  if (inputs.length === 0) throw new OptionError(`${who}: takes at least one tensor; use full for a constant.`);
  const device = commonDevice(who, inputs);
  const expression = scalarOf(who, typeof f === 'function' ? f(...inputs.map((_, i) => argument(i))) : f);
  checkExpression(who, expression, inputs);
  const shape = broadcastShapes(
    who,
    inputs.map((input) => input.shape),
  );
  const out = produce(shape, dtype ?? resultDtype(expression, inputs), device, (y) =>
    runElementwise(expression, inputs, y),
  );
  if (records(inputs) && isFloat(out.dtype)) recordMap(who, expression, inputs, out);
  return out;
}

const inputVariables: F32[] = [];
/** The f32 variable of input i. */
export const argument = (i: number): F32 => (inputVariables[i] ??= variable(`x${i}`, 'f32'));

/** @throws OptionError for what is not an expression, such as a tensor or the number of a plain function. */
export function scalarOf(who: string, value: unknown): Expression {
  if (isExpression(value)) return value;
  throw new OptionError(`${who}: takes a scalar expression, such as (x) => x.mul(2); got ${describe(value)}.`);
}

function checkExpression(who: string, expression: Expression, inputs: readonly Tensor[]): void {
  for (const { op, type, name, table } of topological(expression)) {
    if (table !== undefined) {
      throw new OptionError(`${who}: an elementwise expression reads no tables; got "${table.name}". Gather first.`);
    }
    if (op !== 'variable') continue;
    const input = inputs.find((_, i) => name === `x${i}`);
    if (input === undefined) {
      throw new OptionError(
        `${who}: unknown variable ${name}; the inputs are ${inputs.map((_, i) => `x${i}`).join(', ')}.`,
      );
    }
    if (type === 'bool' || (type === 'i32' && isFloat(input.dtype))) {
      throw new OptionError(
        `${who}: variable ${name} is ${type}, but its tensor holds ${input.dtype}; use an f32 variable.`,
      );
    }
  }
}

/** The storage of an f32 result: that of the inputs if they agree, else f32. */
export function floatResult(inputs: readonly Tensor[]): FloatDtype {
  const [first, ...others] = inputs.map((input) => input.dtype).filter(isFloat);
  return first !== undefined && others.every((dtype) => dtype === first) ? first : 'f32';
}

/** An option that says how floats are stored. @throws OptionError for a dtype that holds none. */
export function checkStorage(who: string, dtype: unknown): FloatDtype | undefined {
  if (dtype === undefined || isFloat(dtype as Dtype)) return dtype as FloatDtype | undefined;
  throw new OptionError(`${who}: dtype must be f32, f16 or bf16; got ${describe(dtype)}.`);
}

function resultDtype(expression: Expression, inputs: readonly Tensor[]): Dtype {
  if (expression.type === 'bool') return 'u8';
  return expression.type === 'i32' ? 'i32' : floatResult(inputs);
}

/** `cotangent · ∂expression/∂x<i>`, where the cotangent is the variable after the `count` inputs; undefined where it is 0. */
const slope = memoised((expression: Expression, i: number, count: number): Expression | undefined => {
  const derivative = differentiate(expression, `x${i}`);
  const zero = derivative.op === 'constant' && derivative.value === 0;
  return zero ? undefined : simplify(argument(count).mul(wrap(derivative) as F32));
});

function recordMap(who: string, expression: Expression, inputs: readonly Tensor[], out: Tensor): void {
  const rules = inputs.map((input, i) => (input.requiresGradient ? slope(expression, i, inputs.length) : undefined));
  const used = new Set(rules.flatMap((rule) => (rule === undefined ? [] : [...freeVariables(rule)])));
  const saved = inputs.filter((_, i) => used.has(`x${i}`));
  operation(
    who,
    inputs,
    [out],
    ([cotangent], needs) =>
      rules.map((rule, i) => {
        if (!needs[i] || rule === undefined) return undefined;
        const { shape } = inputs[i]!;
        // the derivative is 1: no kernel needed
        if (rule.op === 'variable') return sumTo(cotangent!, shape);
        const spread = empty(cotangent!.shape, 'f32', cotangent!.device, 'workspace');
        runElementwise(rule, [...inputs, cotangent!], spread);
        return sameShape(spread.shape, shape) ? spread : sumTo(spread, shape);
      }),
    saved,
  );
}
