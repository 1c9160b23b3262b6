import { describe, isList } from './describe.js';
import { OptionError, ShapeError } from './errors.js';

/** Extents of the axes, outermost first; elements are contiguous in row-major order. `[]` is one number. */
export type Shape = readonly number[];

/** Element counts and strides travel as 32-bit integers. */
const LARGEST = 2 ** 31 - 1;

/** `[2,4,96,64]`, as every message prints a shape. */
export const show = (shape: Shape): string => `[${shape.join(',')}]`;

export const sizeOf = (shape: Shape): number => shape.reduce((size, extent) => size * extent, 1);

export const sameShape = (a: Shape, b: Shape): boolean =>
  a.length === b.length && a.every((extent, i) => extent === b[i]);

/** @throws ShapeError unless every extent is a whole number of at least 1 and the whole has fewer than 2³¹ elements. */
export function checkShape(who: string, shape: Shape): void {
  if (!Array.isArray(shape))
    throw new ShapeError(`${who}: shape must be an array of integers; got ${describe(shape)}.`);
  if (!shape.every((extent) => Number.isInteger(extent) && extent > 0)) {
    const remedy = shape.includes(0) ? ' Empty tensors are not defined: leave the call out.' : '';
    throw new ShapeError(
      `${who}: every extent of a shape must be a whole number of at least 1; got ${describe(shape)}.${remedy}`,
    );
  }
  if (sizeOf(shape) > LARGEST) {
    throw new ShapeError(
      `${who}: a tensor has at most 2^31 - 1 elements; ${show(shape)} has ${sizeOf(shape)}. Split it.`,
    );
  }
}

/** @throws ShapeError unless extents, axes or the like come as an array: `reshape(x, [2, 1])`, not `reshape(x, 2, 1)`. */
export function checkList(who: string, name: string, list: unknown): asserts list is readonly number[] {
  if (Array.isArray(list) && list.every(Number.isInteger)) return;
  throw new ShapeError(`${who}: ${name} must be an array of integers; got ${describe(list)}.`);
}

/** Steps in elements along each axis of a contiguous tensor. */
export function stridesOf(shape: Shape): number[] {
  const strides = new Array<number>(shape.length).fill(1);
  for (let axis = shape.length - 2; axis >= 0; axis--) strides[axis] = strides[axis + 1]! * shape[axis + 1]!;
  return strides;
}

/** Steps that read a tensor of `shape` as if it had shape `to`: 0 along axes that repeat. */
export function broadcastStrides(shape: Shape, to: Shape): number[] {
  const strides = stridesOf(shape);
  const missing = to.length - shape.length;
  return to.map((_, axis) => (axis < missing || shape[axis - missing] === 1 ? 0 : strides[axis - missing]!));
}

/**
 * The shape of an operation on all of `shapes`: aligned at the last axis, where extents are equal or 1.
 *
 * @throws ShapeError naming all shapes.
 */
export function broadcastShapes(who: string, shapes: readonly Shape[]): number[] {
  const rank = Math.max(0, ...shapes.map((shape) => shape.length));
  const out = new Array<number>(rank).fill(1);
  for (const shape of shapes) {
    const missing = rank - shape.length;
    shape.forEach((extent, i) => {
      const axis = i + missing;
      if (extent === 1 || extent === out[axis]) return;
      if (out[axis] !== 1) {
        throw new ShapeError(
          `${who}: shapes must be equal or 1 on every axis, counted from the last; got ${shapes.map(show).join(', ')}. ` +
            `Reshape one of them so that axis ${axis - rank} agrees.`,
        );
      }
      out[axis] = extent;
    });
  }
  checkShape(who, out);
  return out;
}

/** An axis counted from the first; −1 is the last. @throws OptionError when there is no such axis. */
export function resolveAxis(who: string, axis: number, shape: Shape): number {
  const rank = shape.length;
  if (!Number.isInteger(axis) || axis < -rank || axis >= rank) {
    const range =
      rank === 0 ? 'a tensor of shape [] has no axes' : `it must be an integer from ${-rank} to ${rank - 1}`;
    throw new OptionError(`${who}: there is no axis ${describe(axis)} in shape ${show(shape)}; ${range}.`);
  }
  return axis < 0 ? axis + rank : axis;
}

/** Distinct axes counted from the first, ascending; all of them by default. */
export function resolveAxes(who: string, axes: number | readonly number[] | undefined, shape: Shape): number[] {
  if (axes === undefined) return shape.map((_, axis) => axis);
  const resolved = (isList(axes) ? Array.from(axes) : [axes]).map((axis) => resolveAxis(who, axis, shape));
  if (new Set(resolved).size < resolved.length) {
    throw new OptionError(`${who}: axes must be distinct; got ${describe(axes)} for shape ${show(shape)}.`);
  }
  return resolved.sort((a, b) => a - b);
}

/** `shape` with one extent of −1 replaced by what makes `size` elements. @throws ShapeError when none does. */
export function inferShape(who: string, shape: Shape, from: Shape): number[] {
  checkList(who, 'shape', shape);
  const size = sizeOf(from);
  const unknown = shape.filter((extent) => extent === -1).length;
  const known = shape.reduce((product, extent) => (extent === -1 ? product : product * extent), 1);
  const inferred =
    unknown === 1 && known > 0 ? shape.map((extent) => (extent === -1 ? size / known : extent)) : [...shape];
  if (unknown > 1 || !inferred.every(Number.isInteger) || sizeOf(inferred) !== size) {
    throw new ShapeError(
      `${who}: ${show(from)} has ${size} elements, which ${show(shape)} does not hold; ` +
        `extents must multiply to ${size}, and at most one may be -1.`,
    );
  }
  checkShape(who, inferred);
  return inferred;
}
