import { isPlainObject } from '../core/describe.js';
import { ShapeError } from '../core/errors.js';
import { listOfNumbers, type Requirement } from '../core/requirements.js';
import { show, sizeOf } from '../core/shape.js';
import type { Device } from '../devices/device.js';
import { document, type Mask } from '../masks/index.js';
import type { Context } from '../nn/index.js';
import { tensor, type Tensor } from '../tensor/index.js';

/** Numbers on the host, in row-major order. */
export interface HostArray {
  readonly data: ArrayLike<number>;
  readonly shape: readonly number[];
}
/** What a published model is given, by the names that its code has: `input_ids`, `attention_mask`, `token_type_ids`, … */
export type Inputs = Readonly<Record<string, HostArray | undefined>>;

/** B and L. @throws ShapeError unless it is `[B, L]`. */
function sizesOf(name: string, { data, shape }: HostArray): readonly [B: number, L: number] {
  if (shape.length === 2 && sizeOf(shape) === data.length) return shape as [number, number];
  throw new ShapeError(`pretrained: ${name} must be [B,L]; got ${show(shape)} of ${data.length} numbers.`);
}

/** A tensor of numbers that count: tokens, types. @throws ShapeError unless it is `[B, L]`. */
export const integersOf = (name: string, given: HostArray, device: Device): Tensor =>
  tensor(Int32Array.from(given.data), sizesOf(name, given), { device });

/** Types of tokens, as `token_type_ids` names them. */
export const typesOf = (given: HostArray, { device }: { readonly device: Device }): Context => ({
  types: integersOf('token_type_ids', given, device),
});

/** Positions of each row where `global_attention_mask` is not 0. @throws ShapeError unless it is `[B, L]`. */
export function globalsOf(given: HostArray): Context {
  const [B, L] = sizesOf('global_attention_mask', given);
  const { data } = given;
  const rows = Array.from({ length: B }, () => Array.from({ length: L }, (_, i) => i));
  return { globalTokens: rows.map((row, b) => row.filter((i) => data[b * L + i]! !== 0)) };
}

/** Which tokens are real: by the number of them where the others stand behind, else as a mask of pairs. Neither: all are. */
export interface Padding {
  readonly lengths?: readonly number[];
  readonly mask?: Mask;
}

/** @throws ShapeError unless the mask is `[B, L]`, 1 where a token is real. */
export function paddingOf(name: string, given: HostArray | undefined): Padding {
  if (given === undefined) return {};
  const [B, L] = sizesOf(name, given);
  const { data } = given;
  const rows = Array.from({ length: B }, (_, b) => Array.from({ length: L }, (_, i) => Number(data[b * L + i]! !== 0)));
  const lengths = rows.map((row) => row.reduce((sum, one) => sum + one, 0));
  if (lengths.every((length) => length === L)) return {};
  const behind = rows.every((row, b) => row.every((one, i) => one === Number(i < lengths[b]!)));
  // the real ones see each other, and the others each other: whoever reads rows of padding finds numbers without meaning
  return behind ? { lengths } : { mask: document(rows) };
}

/** Named arrays of numbers. */
export const someInputs: Requirement = {
  must: 'an object of { data, shape } by name',
  holds: (value) =>
    isPlainObject(value) &&
    Object.values(value).every(
      (one) =>
        one === undefined ||
        (isPlainObject(one) && listOfNumbers.holds(one['data']) && listOfNumbers.holds(one['shape'])),
    ),
};
