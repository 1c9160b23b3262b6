import { isFloat } from '../core/dtype.js';
import { nearest, ShapeError } from '../core/errors.js';
import { sameShape, show } from '../core/shape.js';
import { argument } from '../ops/map.js';
import { runElementwise } from '../tensor/elementwise.js';
import { commonDevice, empty, type Tensor } from '../tensor/index.js';
import type { Parameter } from './parameter.js';

/** f32 copies of the tensors that the parameters take. @throws ShapeError naming every one that does not fit. */
export function fitting(
  who: string,
  parameters: ReadonlyMap<string, Parameter>,
  state: ReadonlyMap<string, Tensor>,
): Map<string, Tensor> {
  const reasons = [...missing(parameters, state), ...unexpected(parameters, state), ...misshapen(parameters, state)];
  if (reasons.length > 0) {
    const remedy = 'Nothing was changed; build the model by the configuration that the state was saved with.';
    throw new ShapeError(`${who}: ${reasons.length} tensors do not fit: ${reasons.join('; ')}. ${remedy}`);
  }
  if (parameters.size === 0) return new Map();
  const current = [...parameters.values()].filter(({ filled }) => filled).map(({ value }) => value);
  const device = commonDevice(`${who}: load`, [...state.values(), ...current]);
  return new Map(
    [...state].map(([name, tensor]) => {
      const copy = empty(tensor.shape, 'f32', device, 'parameter');
      runElementwise(argument(0), [tensor], copy);
      return [name, copy];
    }),
  );
}

function missing(parameters: ReadonlyMap<string, Parameter>, state: ReadonlyMap<string, Tensor>): string[] {
  return [...parameters]
    .filter(([name]) => !state.has(name))
    .map(([name, { spec }]) => `missing ${name} ${show(spec.shape)}`);
}

function unexpected(parameters: ReadonlyMap<string, Parameter>, state: ReadonlyMap<string, Tensor>): string[] {
  const absent = [...parameters.keys()].filter((name) => !state.has(name));
  return [...state]
    .filter(([name]) => !parameters.has(name))
    .map(([name, { shape }]) => {
      const guess = nearest(name, absent);
      return `unexpected ${name} ${show(shape)}${guess === undefined ? '' : ` (is it ${guess}?)`}`;
    });
}

function misshapen(parameters: ReadonlyMap<string, Parameter>, state: ReadonlyMap<string, Tensor>): string[] {
  return [...parameters].flatMap(([name, { spec }]) => {
    const tensor = state.get(name);
    if (tensor === undefined) return [];
    if (!sameShape(tensor.shape, spec.shape)) return [`${name} must be ${show(spec.shape)}, not ${show(tensor.shape)}`];
    return isFloat(tensor.dtype) ? [] : [`${name} must be of floats, not ${tensor.dtype}`];
  });
}
