import { isFloat, type FloatDtype } from '../core/dtype.js';
import { OptionError } from '../core/errors.js';
import { purposeWords, seedKey } from '../core/random.js';
import { noiseKernel, type NoiseSpec } from '../kernels/noise.js';
import { rowsPerTask } from '../kernels/task-size.js';
import { operation, produce, type Tensor } from '../tensor/index.js';

/** Where random words come from: seed, purpose, row and column say which one an element has. */
export interface NoisePlace {
  readonly seed: number;
  /** What the seed is used for: other purposes draw other words. */
  readonly purpose: string;
  /** The number of the first row of x in the whole input, of which x is a part; default 0. */
  readonly firstRow?: number;
}

/** Every element of `x [..., D]` changed by its own random word, by a factor that does not depend on it: the gradient is changed by the same. */
export function withNoise(
  who: string,
  x: Tensor,
  { seed, purpose, firstRow = 0 }: NoisePlace,
  noise: NoiseSpec['noise'],
  { factor, keepBelow = 0 }: { readonly factor: number; readonly keepBelow?: number },
): Tensor {
  if (!isFloat(x.dtype)) throw new OptionError(`${who} (${purpose}): takes f32, f16 or bf16; got ${x.dtype}.`);
  const [[seedLow, seedHigh], [purposeLow, purposeHigh]] = [seedKey(seed), purposeWords(purpose)];
  const words = {
    seedLow: seedLow | 0,
    seedHigh: seedHigh | 0,
    purposeLow: purposeLow | 0,
    purposeHigh: purposeHigh | 0,
  };
  const length = x.shape.at(-1) ?? 1;
  const [rows, perTask] = [x.size / length, rowsPerTask(length, x.device.info)];
  const sizes = { rows, length, perTask, firstRow, factor, keepBelow };
  const changed = (from: Tensor, dtype: FloatDtype): Tensor =>
    produce(from.shape, dtype, x.device, (to) => {
      const { kernel, pack } = noiseKernel({ dtype, noise });
      x.device.run(kernel, pack({ x: from.buffer, y: to.buffer, ...words, ...sizes }), Math.ceil(rows / perTask));
      x.device.counters.bytesMoved += from.byteLength + to.byteLength;
    });
  const out = changed(x, x.dtype);
  operation(who, [x], [out], ([d]) => [changed(d!, 'f32')]);
  return out;
}
