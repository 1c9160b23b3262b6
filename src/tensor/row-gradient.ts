import { variable } from '../codegen/expression/index.js';
import { launchCollectRows } from '../kernels/table-rows/launch.js';
import { accumulate } from './accumulate.js';
import { runCopy } from './copy.js';
import { full } from './create.js';
import { runElementwiseRows } from './elementwise.js';
import { disposeAll, scope } from './scope.js';
import { empty, share, Tensor } from './tensor.js';
import type { RowGradientOf } from './track.js';

/**
 * The gradient of a table `[N, D]` of which few rows were read. As many bytes are touched as the rows that were read have, however long
 * the table is; `capacity` C is the lesser of the reads and N.
 */
export type RowGradient = RowGradientOf<Tensor>;
export type Gradient = Tensor | RowGradient;

/** The numbers of a gradient that may be other than 0. */
export const numbersOf = (gradient: Gradient): Tensor => (gradient instanceof Tensor ? gradient : gradient.rows);

/**
 * The gradient of a table `[N, D]` each of whose rows was read by some entries of `indices`, i32 from 0 to N − 1: the sum of `weights[entry]·source[r]`
 * over the entries, in their order, where `source [R, D]` has a row for every `indices.size / R` of them. Without weights they are 1.
 */
export function rowGradient(
  shape: readonly number[],
  { indices, source, weights }: { readonly indices: Tensor; readonly source: Tensor; readonly weights?: Tensor },
): RowGradient {
  const { device } = source;
  const [length, columns] = shape as [number, number];
  const [rows, capacity] = [source.size / columns, Math.min(indices.size, length)];
  const gradient = {
    shape,
    indices: empty([capacity], 'i32', device),
    rows: empty([capacity, columns], 'f32', device),
  };
  const buffers = { indices: indices.buffer, source: source.buffer, weights: weights?.buffer };
  launchCollectRows(
    device,
    { ...buffers, found: gradient.indices.buffer, out: gradient.rows.buffer },
    { rows, count: indices.size / rows, columns, length, capacity },
  );
  return gradient;
}

export const shareGradient = (gradient: Gradient): Gradient =>
  gradient instanceof Tensor
    ? share(gradient)
    : { shape: gradient.shape, indices: share(gradient.indices), rows: share(gradient.rows) };

const copied = variable('x0', 'f32');

/** A gradient with all its zeros. Takes it over. */
export function denseOf(gradient: Gradient): Tensor {
  if (gradient instanceof Tensor) return gradient;
  const { shape, rows } = gradient;
  const dense = full(shape, 0, { device: rows.device });
  runElementwiseRows(copied, [rows], dense, gradient);
  disposeAll(gradient);
  return dense;
}

/** The sum of two gradients of one tensor, of which it takes both over: of rows while both are. */
export function addGradients(total: Tensor, more: Gradient): Tensor;
export function addGradients(total: Gradient, more: Gradient): Gradient;
export function addGradients(total: Gradient, more: Gradient): Gradient {
  if (!(total instanceof Tensor)) return more instanceof Tensor ? addGradients(more, total) : merged(total, more);
  if (more instanceof Tensor) {
    const sums = accumulate(total, more);
    more.dispose();
    return sums;
  }
  return addGradients(total, denseOf(more));
}

function merged(a: RowGradient, b: RowGradient): RowGradient {
  const gradient = scope(() => {
    const indices = joined(a.indices, b.indices);
    return rowGradient(a.shape, { indices, source: joined(a.rows, b.rows) });
  });
  disposeAll([a, b]);
  return gradient;
}

/** One below the other. */
function joined(a: Tensor, b: Tensor): Tensor {
  const [first = 0, ...rest] = a.shape;
  const out = empty([first + b.shape[0]!, ...rest], a.dtype, a.device);
  runCopy([a.size], a, { offset: 0, steps: [1] }, out, { offset: 0, steps: [1] });
  runCopy([b.size], b, { offset: 0, steps: [1] }, out, { offset: a.size, steps: [1] });
  return out;
}
