import { variable } from '../codegen/expression/index.js';
import { checkDtype, isFloat, type Dtype } from '../core/dtype.js';
import { runElementwise } from '../tensor/elementwise.js';
import { commonDevice, operation, produce, share, type Tensor } from '../tensor/index.js';

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
  const device = commonDevice('cast', [x]);
  const expression = isFloat(x.dtype) || isFloat(dtype) ? float : integer;
  const out = dtype === x.dtype ? share(x) : produce(x.shape, dtype, device, (y) => runElementwise(expression, [x], y));
  if (isFloat(dtype)) operation('cast', [x], [out], ([d]) => [share(d!)]);
  return out;
}
