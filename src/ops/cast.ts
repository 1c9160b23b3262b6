import { variable } from '../codegen/expression/index.js';
import { checkDtype, isFloat, type Dtype, type FloatDtype } from '../core/dtype.js';
import type { Category } from '../devices/ledger.js';
import { runElementwise } from '../tensor/elementwise.js';
import { commonDevice, empty, operation, produce, share, type Tensor } from '../tensor/index.js';

const float = variable('x0', 'f32');
const integer = variable('x0', 'i32');

/**
 * The same numbers stored as `dtype`. Floats round to the nearest, ties to even, and overflow to ±∞; floats become
 * integers towards zero, NaN becomes 0; numbers outside an integer type become its nearest end. The gradient passes
 * between floats as it is.
 *
 * @throws OptionError for an unknown dtype.
 */
export function cast(x: Tensor, dtype: Dtype): Tensor {
  const device = commonDevice('cast', [x]);
  checkDtype('cast', dtype);
  const expression = isFloat(x.dtype) || isFloat(dtype) ? float : integer;
  const out = dtype === x.dtype ? share(x) : produce(x.shape, dtype, device, (y) => runElementwise(expression, [x], y));
  if (isFloat(dtype)) operation('cast', [x], [out], ([d]) => [share(d!)]);
  return out;
}

/** The floats of `x` in another storage, or x itself if that is its own. Not on the tape. */
export function stored(x: Tensor, dtype: FloatDtype, category: Category = 'tensor'): Tensor {
  if (x.dtype === dtype) return x;
  const out = empty(x.shape, dtype, x.device, category);
  runElementwise(float, [x], out);
  return out;
}

/** The floats of `x` as kernels want them that know f32 alone; not on the tape, and x itself if it is f32. */
export const widened = (x: Tensor): Tensor => stored(x, 'f32', 'workspace');

/** Queries, keys and values as the kernels read them; see `widened`. */
export const inFull = ({ q, k, v }: Readonly<Record<'q' | 'k' | 'v', Tensor>>) => ({
  q: widened(q),
  k: widened(k),
  v: widened(v),
});
