import type { Device } from '../devices/device.js';
import { isFloat, type FloatDtype } from '../core/dtype.js';
import { OptionError, ShapeError } from '../core/errors.js';
import { anything, checkValues, positive } from '../core/requirements.js';
import { show } from '../core/shape.js';
import {
  normaliseBackward,
  normaliseBackwardParameters,
  normaliseForward,
  normaliseParameters,
  normaliseWeights,
  normaliseWeightsParameters,
  type Normalise,
} from '../kernels/rowwise/normalise.js';
import { rowsPerTask } from '../kernels/task-size.js';
import { commonDevice, empty, operation, scope, share, someTensor, type Tensor } from '../tensor/index.js';
import { checkStorage, floatResult } from './map.js';
import { sum } from './reduce.js';

/** What is added to a variance where nothing else is asked for. */
export const NORM_EPSILON = 1e-5;

export interface NormOptions {
  /** `[D]`, the scale of each feature; default none. */
  readonly weight?: Tensor;
  /** Added to the variance or mean square; default 1e-5. */
  readonly epsilon?: number;
  /** How the result is stored; default f16 or bf16 when x and all weights are, else f32. */
  readonly dtype?: FloatDtype;
}
export interface LayerNormOptions extends NormOptions {
  /** `[D]`, added at the end; default none. */
  readonly bias?: Tensor;
}

const requirements = { weight: someTensor, epsilon: positive, dtype: anything };

/**
 * `(x − mean) / √(variance + epsilon) · weight + bias` over the last axis of `x [..., D]`, with the variance of all D
 * numbers (Ba, Kiros, Hinton 2016, arXiv 1607.06450). Computed in f32, whatever the storage of x.
 *
 * @throws ShapeError when weight or bias is not `[D]`; OptionError for dtypes that are not floats, or epsilon ≤ 0.
 */
export function layerNorm(x: Tensor, options: LayerNormOptions = {}): Tensor {
  checkValues('layerNorm', options, { ...requirements, bias: someTensor });
  return normalise('layerNorm', true, x, options);
}

/**
 * `x / √(mean(x²) + epsilon) · weight` over the last axis of `x [..., D]` (Zhang, Sennrich 2019, arXiv 1910.07467).
 *
 * @throws as `layerNorm` does.
 */
export function rmsNorm(x: Tensor, options: NormOptions = {}): Tensor {
  checkValues('rmsNorm', options, requirements);
  return normalise('rmsNorm', false, x, options);
}

function check(who: string, x: Tensor, { weight, bias }: LayerNormOptions): void {
  const given = [weight, bias].filter((tensor) => tensor !== undefined);
  commonDevice(who, [x, ...given]);
  const features = x.shape.at(-1);
  if (features === undefined || given.some((tensor) => tensor.rank !== 1 || tensor.shape[0] !== features)) {
    const shapes = [`x=${show(x.shape)}`, weight && `weight=${show(weight.shape)}`, bias && `bias=${show(bias.shape)}`];
    throw new ShapeError(`${who}: x must be [..., D], weight and bias [D]; got ${shapes.filter(Boolean).join(', ')}.`);
  }
  if ([x, ...given].some((tensor) => !isFloat(tensor.dtype))) {
    throw new OptionError(
      `${who}: takes f32, f16 or bf16; got ${[x, ...given].map(({ dtype }) => dtype).join(', ')}. Use cast first.`,
    );
  }
}

function normalise(who: string, centre: boolean, x: Tensor, options: LayerNormOptions): Tensor {
  check(who, x, options);
  const { weight, bias, epsilon = NORM_EPSILON } = options;
  const inputs = [x, weight, bias].filter((tensor) => tensor !== undefined);
  const device = commonDevice(who, inputs);
  const length = x.shape.at(-1)!;
  const rows = x.size / length;
  const perTask = rowsPerTask(length, x.device.info);
  const dtype = checkStorage(who, options.dtype) ?? floatResult(inputs);
  const spec: Normalise = { centre, weight: weight?.dtype, bias: bias?.dtype, x: x.dtype, y: dtype };
  const [y, statistics] = scope(() => {
    const made = [empty(x.shape, dtype, device), empty([rows, 2], 'f32', device, 'saved')] as const;
    const args = normaliseParameters.pack({
      x: x.buffer,
      // a kernel without weights does not read them
      weight: (weight ?? x).buffer,
      bias: (bias ?? x).buffer,
      y: made[0].buffer,
      statistics: made[1].buffer,
      rows,
      length,
      perTask,
      epsilon,
    });
    device.run(normaliseForward(spec), args, Math.ceil(rows / perTask));
    return made;
  });
  device.counters.bytesMoved += x.byteLength + y.byteLength;
  const roles = [x, weight, bias];
  operation(
    who,
    inputs,
    [y],
    ([dy], needs) => {
      const needed = (tensor: Tensor | undefined): boolean =>
        tensor !== undefined && needs[inputs.indexOf(tensor)] === true;
      const dx = needed(x) ? inputGradient(spec, x, weight, statistics, dy!) : undefined;
      const both = needed(weight) || needed(bias) ? weightGradients(spec, x, statistics, dy!) : {};
      return [dx, both.dweight, both.dbias].filter((_, i) => roles[i] !== undefined);
    },
    [x, statistics, ...(weight ? [weight] : [])],
  );
  statistics.dispose();
  return y;
}

function inputGradient(spec: Normalise, x: Tensor, weight: Tensor | undefined, statistics: Tensor, dy: Tensor): Tensor {
  const length = x.shape.at(-1)!;
  const rows = x.size / length;
  const perTask = rowsPerTask(length, x.device.info);
  const dx = empty(x.shape, 'f32', x.device);
  const args = normaliseBackwardParameters.pack({
    x: x.buffer,
    weight: (weight ?? x).buffer,
    statistics: statistics.buffer,
    dy: dy.buffer,
    dx: dx.buffer,
    rows,
    length,
    perTask,
  });
  x.device.run(normaliseBackward(spec), args, Math.ceil(rows / perTask));
  x.device.counters.bytesMoved += x.byteLength + dy.byteLength + dx.byteLength;
  return dx;
}

/** Rows that one task adds up: fixed by the kind of device, so that the sum does not depend on the threads. */
const weightRows = ({ info }: Device): number => (info.gpu ? 8 : 64);

function weightGradients(
  spec: Normalise,
  x: Tensor,
  statistics: Tensor,
  dy: Tensor,
): { dweight?: Tensor; dbias?: Tensor } {
  const length = x.shape.at(-1)!;
  const rows = x.size / length;
  const perTask = weightRows(x.device);
  const tasks = Math.ceil(rows / perTask);
  const [dweight, dbias] = [spec.weight, spec.bias].map(
    (dtype) => dtype && empty([tasks, length], 'f32', x.device, 'workspace'),
  );
  const args = normaliseWeightsParameters.pack({
    x: x.buffer,
    statistics: statistics.buffer,
    dy: dy.buffer,
    dweight: (dweight ?? dy).buffer,
    dbias: (dbias ?? dy).buffer,
    rows,
    length,
    perTask,
  });
  x.device.run(normaliseWeights(spec), args, tasks);
  x.device.counters.bytesMoved += x.byteLength + dy.byteLength;
  const total = (parts: Tensor | undefined): Tensor | undefined =>
    parts && (tasks === 1 ? share(parts, [length]) : sum(parts, { axes: 0 }));
  const result = { dweight: total(dweight), dbias: total(dbias) };
  return { ...(result.dweight && { dweight: result.dweight }), ...(result.dbias && { dbias: result.dbias }) };
}
