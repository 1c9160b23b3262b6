import { describe } from '../../core/describe.js';
import { OptionError } from '../../core/errors.js';
import { checkValue, text } from '../../core/requirements.js';
import { checkList } from '../../core/shape.js';
import { i32, wrap, type F32, type I32, type I32Like } from './fluent.js';
import { tableNode, type Table, type TypedArray } from './node.js';

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
