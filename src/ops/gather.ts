import { isFloat, type FloatDtype } from '../core/dtype.js';
import { OptionError, ShapeError } from '../core/errors.js';
import { checkValues, wholeNumber } from '../core/requirements.js';
import { checkShape, resolveAxis, sameShape, show, sizeOf, type Shape } from '../core/shape.js';
import { launchGather, launchScatterAdd, type RowShape } from '../kernels/gather/launch.js';
import { runElementwise } from '../tensor/elementwise.js';
import { noteAmong } from '../tensor/integers.js';
import { commonDevice, empty, full, operation, scope, type Tensor } from '../tensor/index.js';
import { checkIndices } from './indices.js';
import { argument } from './map.js';

export interface GatherOptions {
  /** Axis of `x` that the indices count along; default 0. */
  readonly axis?: number;
}

function rowShape(shape: Shape, axis: number, count: number): RowShape {
  const [outer, inner] = [sizeOf(shape.slice(0, axis)), sizeOf(shape.slice(axis + 1))];
  return { outer, length: shape[axis]!, inner, count, along: false };
}

/**
 * Rows of `x` by number: `out[…, i…, …] = x[…, indices[i…], …]`, where the axes of `indices` (i32, any shape) take the place of
 * `axis`. Works on every dtype; the gradient adds up where an index repeats, in order.
 *
 * @throws OptionError naming an index outside `0 … n−1` and its position; for indices that are not i32; for an
 * axis that does not exist.
 *
 * @example
 * const x = tensor([10, 11, 20, 21, 30, 31], [3, 2], { device });
 * gather(x, tensor(Int32Array.of(2, 0), [2], { device })); // [[30, 31], [10, 11]]
 */
export function gather(x: Tensor, indices: Tensor, options: GatherOptions = {}): Tensor {
  checkValues('gather', options, { axis: wholeNumber });
  return gatherNamed('gather', x, indices, options.axis ?? 0);
}

/** `gather` that names the calling operation in messages. */
export function gatherNamed(who: string, x: Tensor, indices: Tensor, axisOption: number, name = 'x'): Tensor {
  commonDevice(who, [x, indices]);
  const axis = resolveAxis(who, axisOption, x.shape);
  const shape = [...x.shape.slice(0, axis), ...indices.shape, ...x.shape.slice(axis + 1)];
  checkShape(who, shape);
  const rule = { name: 'indices', bound: x.shape[axis]!, of: `axis ${axis} of ${name}=${show(x.shape)}` };
  const rows = rowShape(x.shape, axis, indices.size);
  return scope(() => picked(who, x, checkIndices(who, indices, rule), shape, rows));
}

/**
 * Elements of `x` along the last axis, by numbers of their own for each row: `out[…, i] = x[…, indices[…, i]]`, with
 * `x [..., n]` and `indices [..., m]` i32. What `argsort` and `topK` return selects with it.
 *
 * @throws ShapeError when the axes before the last differ.
 * @throws OptionError naming an index outside `0 … n−1` and its position.
 */
export function takeAlong(x: Tensor, indices: Tensor): Tensor {
  const who = 'takeAlong';
  commonDevice(who, [x, indices]);
  if (x.rank === 0 || !sameShape(x.shape.slice(0, -1), indices.shape.slice(0, -1)) || x.rank !== indices.rank) {
    throw new ShapeError(
      `${who}: x must be [...,n] and indices [...,m], equal before the last axis; got x=${show(x.shape)}, indices=${show(indices.shape)}.`,
    );
  }
  const rule = { name: 'indices', bound: x.shape.at(-1)!, of: `the last axis of x=${show(x.shape)}` };
  return scope(() => takeChecked(who, x, checkIndices(who, indices, rule)));
}

/** `takeAlong` of indices that are known to be in range. */
export function takeChecked(who: string, x: Tensor, indices: Tensor): Tensor {
  const [length, count] = [x.shape.at(-1)!, indices.shape.at(-1)!];
  return picked(who, x, indices, indices.shape, { outer: x.size / length, length, inner: 1, count, along: true });
}

function picked(who: string, x: Tensor, indices: Tensor, shape: Shape, rows: RowShape): Tensor {
  const out = empty(shape, x.dtype, x.device);
  launchGather(x.device, x.dtype, x.buffer, indices.buffer, out.buffer, rows);
  if (x.dtype === 'i32') noteAmong(out, [x]);
  const vjp = ([d]: readonly (Tensor | undefined)[]): Tensor[] => {
    const dx = full(x.shape, 0, { device: x.device });
    launchScatterAdd(x.device, 'f32', indices.buffer, d!.buffer, dx.buffer, rows);
    return [dx];
  };
  if (isFloat(x.dtype)) operation(who, [x], [out], vjp, [indices]);
  return out;
}

/**
 * `x` with rows added to it: `out[…, indices[i], …] += updates[…, i, …]`, for `indices [m]` i32 and `updates` shaped like `x` with m
 * at `axis`. Where an index repeats, updates are added in their order, in f32, so results do not depend on threads.
 *
 * @throws ShapeError when `updates` does not fit.
 * @throws OptionError naming an index outside `0 … n−1` and its position; for tensors that are not floats.
 */
export function scatterAdd(x: Tensor, indices: Tensor, updates: Tensor, options: GatherOptions = {}): Tensor {
  const who = 'scatterAdd';
  checkValues(who, options, { axis: wholeNumber });
  const device = commonDevice(who, [x, indices, updates]);
  const axis = resolveAxis(who, options.axis ?? 0, x.shape);
  const wanted = x.shape.map((extent, i) => (i === axis ? indices.size : extent));
  if (indices.rank !== 1 || !sameShape(updates.shape, wanted)) {
    throw new ShapeError(
      `${who}: indices must be [m] and updates ${show(wanted)}, as x with m at axis ${axis}; ` +
        `got x=${show(x.shape)}, indices=${show(indices.shape)}, updates=${show(updates.shape)}.`,
    );
  }
  const integers = [x, updates].find(({ dtype }) => !isFloat(dtype));
  if (integers)
    throw new OptionError(`${who}: x and updates must be f32, f16 or bf16; got ${integers.dtype}. Use cast first.`);
  const rule = { name: 'indices', bound: x.shape[axis]!, of: `axis ${axis} of x=${show(x.shape)}` };
  const rows = rowShape(x.shape, axis, indices.size);
  return scope(() => {
    const safe = checkIndices(who, indices, rule);
    const sums = empty(x.shape, 'f32', device);
    runElementwise(argument(0), [x], sums);
    launchScatterAdd(device, updates.dtype as FloatDtype, safe.buffer, updates.buffer, sums.buffer, rows);
    const out = x.dtype === 'f32' ? sums : empty(x.shape, x.dtype, device);
    if (out !== sums) runElementwise(argument(0), [sums], out);
    const vjp = ([d]: readonly (Tensor | undefined)[], needs: readonly boolean[]): (Tensor | undefined)[] => {
      if (!needs[1]) return [d];
      const dupdates = empty(updates.shape, 'f32', device);
      launchGather(device, 'f32', d!.buffer, safe.buffer, dupdates.buffer, rows);
      return [d, dupdates];
    };
    operation(who, [x, updates], [out], vjp, [safe]);
    return out;
  });
}
