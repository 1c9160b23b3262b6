import { OptionError } from '../core/errors.js';
import type { NamedTensors, Outcome } from '../nn/index.js';

/** Of the states of all layers, by names such as `recent.0`, those of layer `index`, by names such as `recent`. */
export function layerState(state: NamedTensors = {}, index: number): NamedTensors {
  const suffix = `.${index}`;
  const own = Object.entries(state).filter(([name]) => name.endsWith(suffix));
  return Object.fromEntries(own.map(([name, tensor]) => [name.slice(0, -suffix.length), tensor]));
}

/** @throws OptionError for a name that tells none of so many layers. */
export function checkLayers(state: NamedTensors = {}, layers: number): void {
  const stray = Object.keys(state).filter((name) => !(Number(/\.(\d+)$/.exec(name)?.[1]) < layers));
  if (stray.length === 0) return;
  throw new OptionError(
    `model: a state is named by its layer, such as last.0, of ${layers} layers; got ${stray.join(', ')}.`,
  );
}

/** What a layer gave, its state and statistics by names that tell the layer. */
export function withPlace(index: number, { state, statistics, ...rest }: Outcome): Outcome {
  const placed = (named: NamedTensors): NamedTensors =>
    Object.fromEntries(Object.entries(named).map(([name, tensor]) => [`${name}.${index}`, tensor] as const));
  return { ...rest, ...(state && { state: placed(state) }), ...(statistics && { statistics: placed(statistics) }) };
}
