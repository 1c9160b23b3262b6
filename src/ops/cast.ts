import { variable } from '../codegen/expression/index.js';
import { checkDtype, isFloat, type Dtype } from '../core/dtype.js';
import { runElementwise } from '../tensor/elementwise.js';
import { empty, operation, share, type Tensor } from '../tensor/index.js';

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
  checkDtype('cast', dtype);
  let out: Tensor;
  if (dtype === x.dtype) out = share(x);
  else {
    out = empty(x.shape, dtype, x.device);
    runElementwise(isFloat(x.dtype) || isFloat(dtype) ? float : integer, [x], out);
  }
  if (isFloat(dtype)) operation('cast', [x], [out], ([d]) => [share(d!)]);
  return out;
}
