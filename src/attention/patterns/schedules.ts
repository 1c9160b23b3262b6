import { describe, isPlainObject } from '../../core/describe.js';
import { OptionError } from '../../core/errors.js';
import { checkValue, checkValues, wholeBetween, wholeFrom } from '../../core/requirements.js';

const size = wholeFrom(0);
const count = wholeBetween(1, 65536);

/**
 * One window size per layer, growing in equal steps from `bottom`, the first layer's, to `top`, the last one's, rounded to
 * whole numbers. (Longformer's character models: small windows below, large ones above, 32 … 512 over 12 layers; Beltagy, Peters,
 * Cohan 2020, arXiv 2004.05150, tables 4 and 12. The sizes between are not given there.)
 *
 * @throws OptionError unless there is at least one layer and the sizes are whole numbers of at least 0.
 */
export function windowSchedule(layers: number, bottom: number, top: number): number[] {
  checkValue('windowSchedule', 'layers', layers, count);
  checkValues('windowSchedule', { bottom, top }, { bottom: size, top: size }, ['bottom', 'top']);
  // one layer is the top
  return Array.from({ length: layers }, (_, layer) =>
    layer === layers - 1 ? top : Math.round(bottom + ((top - bottom) * layer) / (layers - 1)),
  );
}

/** From which layer on (counted from 0) the dilated heads have which dilation; 1 is none. */
export interface DilationStep {
  readonly layer: number;
  readonly dilation: number;
}

/**
 * The option `dilations` of each layer: the last `dilated` of `heads` heads follow `steps`, the others stay at 1. (Longformer's
 * character models dilate 2 of 8 heads in the upper half; the table's "0" is 1 here. Table 12 of arXiv 2004.05150.)
 *
 * @throws OptionError unless the steps rise from layer 0 on and there are as many heads.
 */
export function dilationSchedule(
  layers: number,
  steps: readonly DilationStep[],
  options: { readonly heads: number; readonly dilated?: number },
): number[][] {
  checkValues('dilationSchedule', options, { heads: count, dilated: size }, ['heads']);
  const { heads, dilated = 2 } = options;
  checkValue('dilationSchedule', 'layers', layers, count);
  const listed: unknown = steps;
  if (!Array.isArray(listed) || !listed.every(isPlainObject)) {
    throw new OptionError(`dilationSchedule: steps must be a list of { layer, dilation }; got ${describe(steps)}.`);
  }
  const rising = steps.every(({ layer }, i) => (i === 0 ? layer === 0 : layer > steps[i - 1]!.layer));
  const whole = steps.every(({ dilation }) => Number.isSafeInteger(dilation) && dilation >= 1);
  if (steps.length === 0 || !rising || !whole) {
    throw new OptionError(
      `dilationSchedule: steps must begin at layer 0 and rise, with dilations of at least 1; got ${describe(steps)}.`,
    );
  }
  if (dilated > heads) {
    throw new OptionError(`dilationSchedule: dilated must be at most heads ${heads}; got ${dilated}.`);
  }
  return Array.from({ length: layers }, (_, layer) => {
    const dilation = steps.reduce((last, step) => (step.layer <= layer ? step.dilation : last), 1);
    return Array.from({ length: heads }, (_unused, h) => (h < heads - dilated ? 1 : dilation));
  });
}
