import { isFloat } from '../core/dtype.js';
import { OptionError, ShapeError } from '../core/errors.js';
import { checkValues, flag } from '../core/requirements.js';
import { sameShape, show } from '../core/shape.js';
import { launchDotRows, launchWeighRows, type TableShape } from '../kernels/table-rows/launch.js';
import { commonDevice, denseOf, empty, operation, rowGradient, scope, type Tensor } from '../tensor/index.js';
import { cast } from './cast.js';
import { checkIndices } from './indices.js';

export interface TableOptions {
  /**
   * Whether the gradient of the table is that of the rows that were read, which optimisers then move alone (`GradientOptions.rows`); default
   * true. False: all rows get one, mostly zeros.
   */
  readonly sparse?: boolean;
}

/**
 * Weighted sums of rows of a table: `out[…, :] = Σ_j weights[…, j]·table[indices[…, j], :]`, with `table [N, D]`, `indices` i32 and `weights
 * [..., n]`, gives `[..., D]`, f32. As many rows are touched as are read, in the gradient of the table too. Known as a bag of embeddings.
 *
 * @throws ShapeError when the shapes do not fit; OptionError naming an index outside `0 … N−1` and its position, or for tensors that are
 *   not floats.
 *
 * @example
 * const table = tensor([1, 2, 3, 4], [2, 2], { device });
 * weighRows(tensor([0.5, 2], [2], { device }), table, tensor(Int32Array.of(1, 0), [2], { device })); // [3.5, 6]
 */
export function weighRows(weights: Tensor, table: Tensor, indices: Tensor, options: TableOptions = {}): Tensor {
  const who = 'weighRows';
  const { sparse } = check(who, { weights, table, indices }, options);
  if (!sameShape(weights.shape, indices.shape)) {
    throw new ShapeError(
      `${who}: weights and indices must be [...,n]; got weights=${show(weights.shape)}, indices=${show(indices.shape)}.`,
    );
  }
  return scope(() => {
    const [w, t, safe] = [inF32(weights), inF32(table), checkRows(who, indices, table)];
    const out = weigh(w, t, safe);
    operation(
      who,
      [w, t],
      [out],
      ([d], needs) => [
        needs[0] ? dot(d!, t, safe) : undefined,
        needs[1] ? gradientOf(t, safe, d!, w, sparse) : undefined,
      ],
      [w, t, safe],
    );
    return out;
  });
}

/**
 * Products with rows of a table: `out[…, j] = ⟨x[…, :], table[indices[…, j], :]⟩`, with `x [..., D]`, `table [N, D]` and `indices [..., n]` i32,
 * gives `[..., n]`, f32. As many rows are touched as are read, in the gradient of the table too.
 *
 * @throws as `weighRows`.
 *
 * @example
 * const table = tensor([1, 2, 3, 4], [2, 2], { device });
 * dotRows(tensor([1, 10], [2], { device }), table, tensor(Int32Array.of(1, 0), [2], { device })); // [43, 21]
 */
export function dotRows(x: Tensor, table: Tensor, indices: Tensor, options: TableOptions = {}): Tensor {
  const who = 'dotRows';
  const { sparse } = check(who, { x, table, indices }, options);
  if (!sameShape(x.shape.slice(0, -1), indices.shape.slice(0, -1)) || x.shape.at(-1) !== table.shape[1]) {
    throw new ShapeError(
      `${who}: x must be [...,D], table [N,D] and indices [...,n]; got x=${show(x.shape)}, table=${show(table.shape)}, indices=${show(indices.shape)}.`,
    );
  }
  return scope(() => {
    const [own, t, safe] = [inF32(x), inF32(table), checkRows(who, indices, table)];
    const out = dot(own, t, safe);
    operation(
      who,
      [own, t],
      [out],
      ([d], needs) => [
        needs[0] ? weigh(d!, t, safe) : undefined,
        needs[1] ? gradientOf(t, safe, own, d!, sparse) : undefined,
      ],
      [own, t, safe],
    );
    return out;
  });
}

function check(
  who: string,
  { table, indices, ...others }: Readonly<Record<'table' | 'indices', Tensor>> & Readonly<Record<string, Tensor>>,
  options: TableOptions,
): Required<TableOptions> {
  checkValues(who, options, { sparse: flag });
  const floats = Object.entries({ ...others, table });
  commonDevice(who, [...floats.map(([, one]) => one), indices]);
  const integers = floats.find(([, { dtype }]) => !isFloat(dtype));
  if (integers !== undefined) {
    throw new OptionError(`${who}: ${integers[0]} must be f32, f16 or bf16; got ${integers[1].dtype}. Use cast first.`);
  }
  if (table.rank !== 2) throw new ShapeError(`${who}: table must be [N,D]; got table=${show(table.shape)}.`);
  if (indices.rank === 0) throw new ShapeError(`${who}: indices must be [...,n]; got ${show(indices.shape)}.`);
  return { sparse: options.sparse ?? true };
}

/** Itself, where it is f32: a cast would be one more operation, to which gradients come whole. */
const inF32 = (x: Tensor): Tensor => (x.dtype === 'f32' ? x : cast(x, 'f32'));

const checkRows = (who: string, indices: Tensor, table: Tensor): Tensor =>
  checkIndices(who, indices, { name: 'indices', bound: table.shape[0]!, of: `axis 0 of table=${show(table.shape)}` });

function shapeOf(table: Tensor, indices: Tensor): TableShape {
  const count = indices.shape.at(-1)!;
  return { rows: indices.size / count, count, columns: table.shape[1]! };
}

function weigh(weights: Tensor, table: Tensor, indices: Tensor): Tensor {
  const out = empty([...indices.shape.slice(0, -1), table.shape[1]!], 'f32', table.device);
  const buffers = { weights: weights.buffer, table: table.buffer, indices: indices.buffer, out: out.buffer };
  launchWeighRows(table.device, buffers, shapeOf(table, indices));
  return out;
}

function dot(x: Tensor, table: Tensor, indices: Tensor): Tensor {
  const out = empty(indices.shape, 'f32', table.device);
  const buffers = { x: x.buffer, table: table.buffer, indices: indices.buffer, out: out.buffer };
  launchDotRows(table.device, buffers, shapeOf(table, indices));
  return out;
}

/** Of a table whose row was weighed by `weights[…, j]` into `rows[…, :]`. */
function gradientOf(
  table: Tensor,
  indices: Tensor,
  source: Tensor,
  weights: Tensor,
  sparse: boolean,
): ReturnType<typeof rowGradient> | Tensor {
  const gradient = rowGradient(table.shape, { indices, source, weights });
  return sparse ? gradient : denseOf(gradient);
}
