import type { VectorBuilder, VF, VI } from '../../codegen/vector.js';
import { isFloat, type Dtype } from '../../core/dtype.js';

/**
 * Lanes as signed integers in the wanted order. Floats order like their bits once the magnitudes of negative ones are
 * turned round; −0 equals 0, and a NaN counts as larger than every number.
 */
export function orderedKey(k: VectorBuilder, dtype: Dtype, value: VF | VI, descending: boolean): VI {
  let key: VI;
  if (value.kind === 'vi') key = value;
  else {
    if (!isFloat(dtype)) throw new Error(`sort: no order of ${dtype} as floats`);
    const stored = k.bits(value);
    // −0 becomes 0
    const bits = k.select(k.eq(stored, -0x80000000), k.constant('vi', 0), stored);
    const ordered = k.xor(bits, k.and(k.shrSigned(bits, 31), 0x7fffffff));
    key = k.select(k.ne(value, value), k.constant('vi', 0x7fffffff), ordered);
  }
  return descending ? k.xor(key, -1) : key;
}
