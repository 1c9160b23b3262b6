import { constant, select } from '../codegen/expression/index.js';
import { map } from '../ops/index.js';
import { tensor, type Tensor } from '../tensor/index.js';

/** Rows of keys `[B,G,S,D]` beyond the lengths become `otherwise`, and pass no gradient. */
export function realKeys(k: Tensor, lengths: readonly number[] | undefined, otherwise = 0): Tensor {
  if (lengths === undefined) return k;
  const { device } = k;
  const S = k.shape[2]!;
  const place = tensor(
    Float32Array.from({ length: S }, (_, j) => j),
    [S, 1],
    { device },
  );
  const end = tensor(Float32Array.from(lengths), [lengths.length, 1, 1, 1], { device });
  return map((x, j, length) => select(j.lt(length), x, constant(otherwise, 'f32')), k, place, end);
}
