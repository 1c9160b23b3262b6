import { isFloat, type FloatDtype } from '../core/dtype.js';
import { OptionError, ShapeError } from '../core/errors.js';
import { checkShape, sameShape, show, sizeOf } from '../core/shape.js';
import { launchGather, launchScatterAdd, type RowShape } from '../kernels/gather/launch.js';
import { commonDevice, empty, operation, scope, zeros, type Tensor } from '../tensor/index.js';
import { noteAmong } from '../tensor/integers.js';
import { checkIndices } from './indices.js';

/**
 * Rows of each matrix of `x` by numbers of its own: `out[…, i, :] = x[…, indices[…, i], :]`, with `x [..., n, D]` and `indices [..., m]`
 * i32. What `argsort` returns sorts rows with it. Works on every dtype; the gradient adds up where an index repeats, in order.
 *
 * @throws ShapeError when the axes before differ.
 * @throws OptionError naming an index outside `0 … n−1` and its position; for indices that are not i32.
 *
 * @example
 * const x = tensor([10, 11, 20, 21, 30, 31], [1, 3, 2], { device });
 * gatherRows(x, tensor(Int32Array.of(2, 0), [1, 2], { device })); // [[[30, 31], [10, 11]]]
 */
export function gatherRows(x: Tensor, indices: Tensor): Tensor {
  const who = 'gatherRows';
  commonDevice(who, [x, indices]);
  if (x.rank < 2 || !sameShape(x.shape.slice(0, -2), indices.shape.slice(0, -1))) {
    throw new ShapeError(
      `${who}: x must be [...,n,D] and indices [...,m], equal before the last axes; got x=${show(x.shape)}, indices=${show(indices.shape)}.`,
    );
  }
  const rule = { name: 'indices', bound: x.shape.at(-2)!, of: `axis ${x.rank - 2} of x=${show(x.shape)}` };
  return scope(() => {
    const safe = checkIndices(who, indices, rule);
    const out = pickRows(x, safe);
    if (isFloat(x.dtype)) operation(who, [x], [out], ([d]) => [addRows(d!, safe, x.shape)], [safe]);
    return out;
  });
}

/**
 * Sums of the rows of each matrix of `x` by numbers of their own: `out[…, r, :] = Σ x[…, i, :]` over i with `indices[…, i] = r`, with
 * `x [..., m, D]` and `indices [..., m]` i32, gives `[..., count, D]` f32. Rows are added in their order; one that none has is 0. The
 * transpose of `gatherRows`, and its gradient.
 *
 * @throws ShapeError when the axes before differ.
 * @throws OptionError naming an index outside `0 … count−1` and its position; for indices that are not i32, or rows that are not floats.
 *
 * @example
 * const x = tensor([1, 2, 4], [1, 3, 1], { device });
 * scatterRows(x, tensor(Int32Array.of(1, 0, 1), [1, 3], { device }), 2); // [[[2], [5]]]
 */
export function scatterRows(x: Tensor, indices: Tensor, count: number): Tensor {
  const who = 'scatterRows';
  commonDevice(who, [x, indices]);
  if (x.rank < 2 || !sameShape(x.shape.slice(0, -1), indices.shape)) {
    throw new ShapeError(
      `${who}: x must be [...,m,D] and indices [...,m]; got x=${show(x.shape)}, indices=${show(indices.shape)}.`,
    );
  }
  if (!isFloat(x.dtype)) throw new OptionError(`${who}: x must be f32, f16 or bf16; got ${x.dtype}. Use cast first.`);
  const shape = [...x.shape.slice(0, -2), count, x.shape.at(-1)!];
  checkShape(who, shape);
  return scope(() => {
    const safe = checkIndices(who, indices, { name: 'indices', bound: count, of: `${count} rows` });
    const out = addRows(x, safe, shape);
    operation(who, [x], [out], ([d]) => [pickRows(d!, safe)], [safe]);
    return out;
  });
}

/** The rows of `x [..., n, D]`, or numbers of `x [..., n]`, at indices that are known to be in range. Not on the tape. */
export function pickRows(x: Tensor, indices: Tensor): Tensor {
  const rows = rowsOf(x.shape, indices);
  const out = empty([...indices.shape, ...x.shape.slice(indices.rank)], x.dtype, x.device);
  launchGather(x.device, x.dtype, x.buffer, indices.buffer, out.buffer, rows);
  if (x.dtype === 'i32') noteAmong(out, [x]);
  return out;
}

/**
 * Zeros of `shape` with rows added at indices: the transpose of `pickRows`. Not on the tape.
 *
 * Measured on 4 × 65,536 rows of 64: 24 ms; to invert a permutation and gather by it 23 ms, to gather 10 ms.
 */
export function addRows(x: Tensor, indices: Tensor, shape: readonly number[]): Tensor {
  const out = zeros(shape, { device: x.device });
  launchScatterAdd(x.device, x.dtype as FloatDtype, indices.buffer, x.buffer, out.buffer, rowsOf(shape, indices));
  return out;
}

function rowsOf(shape: readonly number[], indices: Tensor): RowShape {
  const axis = indices.rank - 1;
  return {
    outer: sizeOf(shape.slice(0, axis)),
    length: shape[axis]!,
    inner: sizeOf(shape.slice(axis + 1)),
    count: indices.shape[axis]!,
    along: true,
  };
}
