import { constant, select, type Expression, type F32, type F32Like } from '../codegen/expression/index.js';
import { OptionError } from '../core/errors.js';
import type { Tensor } from '../tensor/index.js';
import { argument, mapNamed } from './map.js';

/** A tensor, or one number for all elements. */
export type Operand = Tensor | number;

type Unary = (x: Tensor) => Tensor;
type Binary = (a: Operand, b: Operand) => Tensor;

/** One operation of one tensor; its expression is built once. */
function unary(who: string, f: (x: F32) => Expression): Unary {
  const expression = f(argument(0));
  return (x) => mapNamed(who, expression, [x]);
}

/** One operation of two operands, at least one of them a tensor. */
function binary(who: string, f: (a: F32, b: F32Like) => Expression): Binary {
  const both = f(argument(0), argument(1));
  return (a, b) => {
    if (typeof a !== 'number') {
      return typeof b === 'number' ? mapNamed(who, f(argument(0), b), [a]) : mapNamed(who, both, [a, b]);
    }
    if (typeof b !== 'number') return mapNamed(who, f(constant(a), argument(0)), [b]);
    throw new OptionError(`${who}: one of the two operands must be a tensor; got ${a} and ${b}.`);
  };
}

// The functions below are `map` of one expression: broadcasting, dtypes, gradients and errors are described there.

/** `a + b`. */
export const add = binary('add', (a, b) => a.add(b));
/** `a − b`. */
export const sub = binary('sub', (a, b) => a.sub(b));
/** `a · b`, element by element. */
export const mul = binary('mul', (a, b) => a.mul(b));
/** `a / b`. */
export const div = binary('div', (a, b) => a.div(b));
/** The larger of two; a NaN in either is the result. At a tie the gradient goes to `b`. */
export const maximum = binary('maximum', (a, b) => a.max(b));
/** The smaller of two; a NaN in either is the result. At a tie the gradient goes to `b`. */
export const minimum = binary('minimum', (a, b) => a.min(b));

/** 1 where `a = b`, else 0, as u8. */
export const equal = binary('equal', (a, b) => a.eq(b));
/** 1 where `a ≠ b`, else 0, as u8. */
export const notEqual = binary('notEqual', (a, b) => a.ne(b));
/** 1 where `a < b`, else 0, as u8. */
export const less = binary('less', (a, b) => a.lt(b));
/** 1 where `a ≤ b`, else 0, as u8. */
export const lessEqual = binary('lessEqual', (a, b) => a.le(b));
/** 1 where `a > b`, else 0, as u8. */
export const greater = binary('greater', (a, b) => a.gt(b));
/** 1 where `a ≥ b`, else 0, as u8. */
export const greaterEqual = binary('greaterEqual', (a, b) => a.ge(b));

/** `−x`. */
export const neg = unary('neg', (x) => x.neg());
/** `|x|`; the gradient at 0 is 1. */
export const abs = unary('abs', (x) => x.abs());
/** `e^x`. */
export const exp = unary('exp', (x) => x.exp());
/** Natural logarithm: −∞ at 0, NaN below. */
export const log = unary('log', (x) => x.log());
/** `√x`: NaN below 0. */
export const sqrt = unary('sqrt', (x) => x.sqrt());
/** `x²`. */
export const square = unary('square', (x) => x.mul(x));
/** Sine of x in radians; NaN for |x| above 6.5 million. */
export const sin = unary('sin', (x) => x.sin());
/** Cosine of x in radians; NaN for |x| above 6.5 million. */
export const cos = unary('cos', (x) => x.cos());
/** Arc cosine in radians, from 0 to π; NaN outside [−1, 1], and the gradient is −∞ at ±1. */
export const acos = unary('acos', (x) => x.acos());
/** Angle of the points (x, y) in radians, from −π to π; the signs of zeros count. At the origin the gradient is NaN. */
export const atan2 = binary('atan2', (y, x) => y.atan2(x));
/** Gauss error function. */
export const erf = unary('erf', (x) => x.erf());

/**
 * `x^exponent`, element by element, within 2 ulp on CPUs (a GPU takes subnormal numbers for 0, and divides less exactly); NaN for a
 * negative x unless the exponent is a whole number. A number as exponent that is ±½, or whole and at most 32 in size, is computed by
 * roots, products and quotients. Where x and the exponent are 0, and where x is 0 in the gradient of an exponent that is not negative,
 * gradients are 0.
 */
export const pow = binary('pow', (x, exponent) => x.pow(exponent));

const choice = select(argument(0).ne(0), argument(1), argument(2));

/** `condition ≠ 0 ? a : b`, element by element; all three broadcast. Gradients flow to the side that was taken. */
export function where(condition: Tensor, a: Operand, b: Operand): Tensor {
  if (typeof a !== 'number' && typeof b !== 'number') return mapNamed('where', choice, [condition, a, b]);
  const inputs = [condition, ...[a, b].filter((operand) => typeof operand !== 'number')];
  const left = typeof a === 'number' ? constant(a) : argument(1);
  const right = typeof b === 'number' ? constant(b) : argument(inputs.length - 1);
  return mapNamed('where', select(argument(0).ne(0), left, right), inputs);
}
