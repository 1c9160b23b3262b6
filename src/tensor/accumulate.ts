import { variable } from '../codegen/expression/index.js';
import { runElementwise } from './elementwise.js';
import { empty, storageOf, type Tensor } from './tensor.js';

const [total, x] = [variable('x0', 'f32'), variable('x1', 'f32')];
const sums = { plus: total.add(x), minus: total.sub(x) };

/**
 * `total ± x`, f32 of the shape of both; x may have any float dtype. Takes `total` over: the result is written in its place where
 * nobody else holds the numbers, else it is disposed. The tape sees nothing of this.
 */
export function accumulate(total: Tensor, x: Tensor, sign: keyof typeof sums = 'plus'): Tensor {
  // nobody else sees a storage with one holder
  const alone = storageOf(total).references === 1;
  const sum = alone ? total : empty(total.shape, 'f32', total.device);
  runElementwise(sums[sign], [total, x], sum);
  if (!alone) total.dispose();
  return sum;
}
