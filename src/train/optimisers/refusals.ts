import type { DeviceBuffer } from '../../devices/device.js';
import { sameShape, show } from '../../core/shape.js';
import { someTensor, type Tensor } from '../../tensor/index.js';
import type { NamedTensors, OptimiserState } from './types.js';

const isNamed = (one: unknown): boolean =>
  Array.isArray(one) && one.length === 2 && typeof one[0] === 'string' && someTensor.holds(one[1]);

/** Why an optimiser cannot hold these parameters, a sentence each. */
export function reasonsAgainstParameters(parameters: NamedTensors): readonly string[] {
  if (!Array.isArray(parameters) || !parameters.every(isNamed))
    return ['takes its parameters as a list of [name, tensor]'];
  if (parameters.length === 0) return ['takes at least one parameter, as [name, tensor]'];
  const names = new Set<string>();
  const owners = new Map<DeviceBuffer, string>();
  const { device } = parameters[0]![1];
  return parameters.flatMap(([name, parameter]) => {
    const reasons: string[] = [];
    if (names.has(name)) reasons.push(`two parameters are called ${name}; names must differ`);
    names.add(name);
    if (parameter.disposed) return [...reasons, `parameter ${name} ${show(parameter.shape)} was disposed`];
    if (parameter.dtype !== 'f32') {
      reasons.push(
        `parameter ${name} is ${parameter.dtype}${show(parameter.shape)}; updates need f32: keep f32 weights and cast them for computing`,
      );
    }
    if (parameter.device !== device) {
      reasons.push(
        `parameter ${name} is on ${parameter.device.info.kind}, ${parameters[0]![0]} on ${device.info.kind}; all must be on one device`,
      );
    }
    const owner = owners.get(parameter.buffer);
    if (owner !== undefined) {
      reasons.push(`parameters ${owner} and ${name} share their memory and would move twice; give it once`);
    }
    owners.set(parameter.buffer, name);
    return reasons;
  });
}

/** Everything in a state that does not fit the optimiser whose own state is `own`. */
export function reasonsAgainstState(own: OptimiserState, state: OptimiserState): readonly string[] {
  const reasons: string[] = [];
  // it may come from a file
  if (typeof state?.updates !== 'object' || state.updates === null || !Array.isArray(state.tensors)) {
    return ['it must be what state() gave: { optimiser, steps, updates, tensors }'];
  }
  if (state.optimiser !== own.optimiser) reasons.push(`it is the state of ${state.optimiser}`);
  if (!isCount(state.steps)) reasons.push(`steps must be a whole number of at least 0; got ${String(state.steps)}`);
  for (const name of Object.keys(own.updates)) {
    const count = Object.hasOwn(state.updates, name) ? state.updates[name] : undefined;
    if (count === undefined) reasons.push(`the count of updates of ${name} is missing`);
    else if (!isCount(count) || count > state.steps) {
      reasons.push(`the updates of ${name} must be a whole number from 0 to steps; got ${String(count)}`);
    }
  }
  for (const name of Object.keys(state.updates)) {
    if (!Object.hasOwn(own.updates, name)) reasons.push(`it counts updates of ${name}, which is no parameter here`);
  }
  const given = new Map<string, Tensor>();
  for (const [name, one] of state.tensors) {
    if (given.has(name)) reasons.push(`${name} is there twice`);
    given.set(name, one);
  }
  for (const [name, want] of own.tensors) reasons.push(...reasonsAgainstTensor(name, want, given.get(name)));
  const known = new Set(own.tensors.map(([name]) => name));
  for (const [name, { shape }] of given)
    if (!known.has(name)) reasons.push(`${name} ${show(shape)} belongs to nothing`);
  return reasons;
}

function reasonsAgainstTensor(name: string, want: Tensor, got: Tensor | undefined): readonly string[] {
  if (got === undefined) return [`${name} f32${show(want.shape)} is missing`];
  if (got.disposed) return [`${name} was disposed`];
  if (got.device !== want.device) {
    return [`${name} is on another device, ${got.device.info.kind}; copy it to that of the parameters`];
  }
  if (got.dtype === 'f32' && sameShape(got.shape, want.shape)) return [];
  return [`${name} must be f32${show(want.shape)}; got ${got.dtype}${show(got.shape)}`];
}

const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;
