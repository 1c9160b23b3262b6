import { OptionError, ShapeError } from '../core/errors.js';
import { checkValue, text } from '../core/requirements.js';
import { checkShape, show, sizeOf } from '../core/shape.js';
import type { Table } from '../codegen/expression/index.js';

/** What a score change needs to know of a tensor; gradients flow to it where it requires them. */
export interface TensorLike {
  readonly shape: readonly number[];
  readonly dtype: string;
}

/** A tensor as a table of f32; `shape` has as many entries as the tensor, in the same order. */
export function tensorTable(
  who: string,
  name: string,
  tensor: TensorLike,
  shape: readonly number[] = tensor.shape,
): Table & { readonly dtype: 'f32' } {
  if (tensor.dtype !== 'f32') throw new OptionError(`${who}: ${name} must be an f32 tensor; got ${tensor.dtype}.`);
  return { name, dtype: 'f32', shape, source: tensor };
}

/**
 * A tensor of numbers, f32, for `lookup` in a score change, at indices that may depend on anything: places, other tables, the score. An
 * index outside the table reads 0. Gradients flow to the tensor where it requires them, from every pair that reads it within its
 * bounds; not to the indices. `shape` has as many entries as the tensor, in the same order.
 *
 * @throws OptionError for another dtype; ShapeError for a shape of another size.
 *
 * @example
 * const weights = floatTable('weights', tensor([0, 0.5, -0.5], [3], { device, requiresGradient: true }));
 * const kinds = integerTable('kinds', tensor(Int32Array.of(0, 2, 1, 0, 1, 2, 2, 0), [8], { device }));
 * const { out } = attend(q, k, v, { score: score(({ score: s, k: j }) => s.add(lookup(weights, lookup(kinds, j)))) });
 */
export function floatTable(
  name: string,
  tensor: TensorLike,
  shape?: readonly number[],
): Table & { readonly dtype: 'f32' } {
  const extents = extentsOf('floatTable', name, tensor, shape);
  return tensorTable('floatTable', name, tensor, extents);
}

/**
 * A tensor of indices or flags, i32 or u8, for `lookup` in a score change; `shape` has as many entries, in the same order.
 *
 * @throws OptionError for another dtype; ShapeError for a shape of another size.
 */
export function integerTable(
  name: string,
  tensor: TensorLike,
  shape?: readonly number[],
): Table & { readonly dtype: 'i32' | 'u8' } {
  const extents = extentsOf('integerTable', name, tensor, shape);
  const { dtype } = tensor;
  if (dtype !== 'i32' && dtype !== 'u8')
    throw new OptionError(`integerTable: ${name} must be an i32 or u8 tensor; got ${dtype}. Use cast.`);
  return { name, dtype, shape: extents, source: tensor };
}

/** The shape of a table: that of its tensor, or another of as many entries. */
function extentsOf(
  who: string,
  name: string,
  tensor: TensorLike,
  shape: readonly number[] | undefined,
): readonly number[] {
  checkValue(who, 'name', name, text);
  checkTensor(who, name, tensor);
  const extents = shape === undefined ? tensor.shape : shape;
  checkShape(who, extents);
  if (sizeOf(extents) === sizeOf(tensor.shape)) return extents;
  throw new ShapeError(`${who}: shape ${show(extents)} does not hold the entries of ${name}=${show(tensor.shape)}.`);
}

/** Refuses what is not a tensor. */
export function checkTensor(who: string, name: string, tensor: unknown): void {
  if (tensor !== null && typeof tensor === 'object' && Array.isArray((tensor as TensorLike).shape) && 'dtype' in tensor)
    return;
  throw new OptionError(`${who}: ${name} must be a tensor with a shape and a dtype.`);
}
