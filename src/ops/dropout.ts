import { isFloat, type FloatDtype } from '../core/dtype.js';
import { OptionError } from '../core/errors.js';
import { purposeWords, seedKey } from '../core/random.js';
import { anything, checkValue, checkValues, fraction, text, wholeFrom } from '../core/requirements.js';
import { dropoutKernel } from '../kernels/dropout.js';
import { keeping } from '../kernels/philox.js';
import { rowsPerTask } from '../kernels/rowwise/plan.js';
import { commonDevice, operation, produce, type Tensor } from '../tensor/index.js';

export interface DropoutOptions {
  /** 0 ≤ rate < 1. */
  readonly rate: number;
  readonly seed: number;
  /** What the seed is used for: other purposes drop other elements. */
  readonly purpose: string;
  /** The number of the first row of x in the whole input, of which x is a part; default 0. */
  readonly firstRow?: number;
}

/**
 * Sets each element of `x [..., D]` to 0 with probability `rate` and multiplies the others by `1/(1 − rate)`, which keeps the mean;
 * x itself at rate 0. What is dropped depends on seed, purpose, row and column alone, and nothing is stored for the backward
 * pass. (Srivastava et al. 2014, "Dropout: A Simple Way to Prevent Neural Networks from Overfitting", JMLR 15.)
 *
 * @throws OptionError for integers, or a rate out of range.
 */
export function dropout(x: Tensor, options: DropoutOptions): Tensor {
  const device = commonDevice('dropout', [x]);
  const requirements = { rate: anything, seed: anything, purpose: text, firstRow: wholeFrom(0) };
  checkValues('dropout', options, requirements, ['rate', 'seed', 'purpose']);
  const { rate, seed, purpose, firstRow = 0 } = options;
  checkRate('dropout', rate);
  if (!isFloat(x.dtype)) throw new OptionError(`dropout (${purpose}): takes f32, f16 or bf16; got ${x.dtype}.`);
  if (rate === 0) return x;
  const [seedLow, seedHigh] = seedKey(seed);
  const [purposeLow, purposeHigh] = purposeWords(purpose);
  const words = {
    seedLow: seedLow | 0,
    seedHigh: seedHigh | 0,
    purposeLow: purposeLow | 0,
    purposeHigh: purposeHigh | 0,
  };
  const length = x.shape.at(-1) ?? 1;
  const [rows, perTask] = [x.size / length, rowsPerTask(length)];
  const sizes = { rows, length, perTask, firstRow, ...keeping(rate) };
  const dropped = (from: Tensor, dtype: FloatDtype): Tensor =>
    produce(from.shape, dtype, device, (to) => {
      const { kernel, pack } = dropoutKernel(dtype);
      device.run(kernel, pack({ x: from.buffer, y: to.buffer, ...words, ...sizes }), Math.ceil(rows / perTask));
      device.counters.bytesMoved += from.byteLength + to.byteLength;
    });
  const out = dropped(x, x.dtype);
  operation('dropout', [x], [out], ([d]) => [dropped(d!, 'f32')]);
  return out;
}

/** @throws OptionError unless 0 ≤ rate < 1. */
export function checkRate(who: string, rate: number): void {
  checkValue(who, 'rate', rate, fraction);
}
