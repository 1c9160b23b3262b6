import type { NamedTensors, Outcome } from '../nn/index.js';

/** Of the states of all layers, by names such as `recent.0`, those of layer `index`, by names such as `recent`. */
export function layerState(state: NamedTensors = {}, index: number): NamedTensors {
  const suffix = `.${index}`;
  const own = Object.entries(state).filter(([name]) => name.endsWith(suffix));
  return Object.fromEntries(own.map(([name, tensor]) => [name.slice(0, -suffix.length), tensor]));
}

/** What a layer gave, its state by names that tell the layer. */
export function withPlace(index: number, { state, ...rest }: Outcome): Outcome {
  if (state === undefined) return rest;
  const named = Object.entries(state).map(([name, tensor]) => [`${name}.${index}`, tensor] as const);
  return { ...rest, state: Object.fromEntries(named) };
}
