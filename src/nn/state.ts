import { isFloat } from '../core/dtype.js';
import { ShapeError } from '../core/errors.js';
import { didYouMean } from '../core/names.js';
import { callable, checkValue, made, oneOf, reasonsAgainst, refuse } from '../core/requirements.js';
import { sameShape, show } from '../core/shape.js';
import { transpose } from '../ops/index.js';
import { argument } from '../ops/map.js';
import { runElementwise } from '../tensor/elementwise.js';
import { commonDevice, empty, noGradient, scope, tensorsByName, type Tensor } from '../tensor/index.js';
import type { Parameter } from './parameter.js';
import { WeightMap, weightMap, type Mapped } from './weight-map.js';

/** How a state that was not made by this configuration is to be taken. */
export interface LoadOptions {
  /**
   * Whether the tensor of a name is stored with its last two axes swapped; default none is. This library computes `x·weight`, so a
   * linear layer's weight is `[in, out]`; PyTorch keeps `[out, in]`.
   */
  readonly transposed?: (name: string) => boolean;
  /** Between the state's names and layouts and ours, for a published checkpoint; default the names as they are. */
  readonly map?: WeightMap;
  /** Parameters that the state lacks: `'refuse'` (the default), or `'keep'` what they hold. */
  readonly missing?: 'refuse' | 'keep';
  /** Tensors of the state that belong to no parameter: `'refuse'` (the default), or `'ignore'` them. */
  readonly unexpected?: 'refuse' | 'ignore';
}

type Parameters = ReadonlyMap<string, Parameter>;
type State = ReadonlyMap<string, Tensor>;

/** Copies of the tensors that the parameters take, stored as these are. @throws ShapeError naming every one that does not fit. */
export function fitting(
  who: string,
  parameters: Parameters,
  state: State,
  options: LoadOptions = {},
): Map<string, Tensor> {
  check(who, options);
  checkValue(`${who}: load`, 'state', state, tensorsByName);
  const { map = sameNames, ...rest } = options;
  const read = new Map([...parameters].filter(([name]) => !map.isOwn(name)));
  return scope(() => fittingOurs(who, read, map.toOurs(state), rest));
}

const sameNames = weightMap([['{*}', '{*}']]);

/** All that a state, mapped to our names, has against parameters. */
export function misfits(
  parameters: Parameters,
  { tensors: state, origins, reasons: unmapped }: Mapped,
  options: Omit<LoadOptions, 'map'> = {},
): string[] {
  const { transposed = () => false, missing: absent = 'refuse', unexpected: other = 'refuse' } = options;
  return [
    ...unmapped.filter((reason) => other === 'refuse' || !reason.startsWith('unexpected')),
    ...missing(parameters, state, origins, absent),
    ...(other === 'refuse' ? unexpected(parameters, state, origins) : []),
    ...misshapen(parameters, state, origins, transposed),
  ];
}

function fittingOurs(
  who: string,
  parameters: Parameters,
  found: Mapped,
  options: Omit<LoadOptions, 'map'>,
): Map<string, Tensor> {
  const { transposed = () => false } = options;
  const { tensors: state } = found;
  const taken = [...state].filter(([name]) => parameters.has(name));
  const reasons = misfits(parameters, found, options);
  if (reasons.length === 0 && taken.length === 0 && parameters.size > 0) {
    reasons.push(`none of ${state.size} has the name of a parameter, such as ${[...parameters.keys()][0]}`);
  }
  if (reasons.length > 0) {
    const remedy = 'Nothing was changed; build the model by the configuration that the state was saved with.';
    throw new ShapeError(`${who}: ${reasons.length} tensors do not fit: ${reasons.join('; ')}. ${remedy}`);
  }
  if (taken.length === 0) return new Map();
  const current = [...parameters.values()].filter(({ filled }) => filled).map(({ value }) => value);
  const device = commonDevice(`${who}: load`, [...taken.map(([, tensor]) => tensor), ...current]);
  return noGradient(
    () =>
      new Map(
        taken.map(([name, tensor]) => {
          const whole = transposed(name) ? transpose(tensor) : tensor;
          const copy = empty(whole.shape, parameters.get(name)!.storage, device, 'parameter');
          runElementwise(argument(0), [whole], copy);
          return [name, copy];
        }),
      ),
  );
}

function check(who: string, options: LoadOptions): void {
  const requirements = {
    transposed: callable,
    map: made('a weight map, as weightMap makes it', WeightMap),
    missing: oneOf(['refuse', 'keep']),
    unexpected: oneOf(['refuse', 'ignore']),
  };
  refuse(`${who}: load`, reasonsAgainst(options, requirements));
}

function missing(
  parameters: Parameters,
  state: State,
  origins: Mapped['origins'],
  absent: 'refuse' | 'keep',
): string[] {
  return [...parameters]
    .filter(([name, { filled }]) => !state.has(name) && !origins.has(name) && (absent === 'refuse' || !filled))
    .map(
      ([name, { spec }]) =>
        `missing ${name} ${show(spec.shape)}${absent === 'keep' ? ', which holds nothing yet to keep' : ''}`,
    );
}

function unexpected(parameters: Parameters, state: State, origins: Mapped['origins']): string[] {
  const absent = [...parameters.keys()].filter((name) => !state.has(name));
  return [...state]
    .filter(([name]) => !parameters.has(name))
    .map(([name, { shape }]) => `unexpected ${named(name, origins)} ${show(shape)}${didYouMean(name, absent)}`);
}

/** Our name, and theirs where it is another. */
const named = (name: string, origins: Mapped['origins']): string =>
  (origins.get(name) ?? name) === name ? name : `${name} (from ${origins.get(name)!})`;

function misshapen(
  parameters: Parameters,
  state: State,
  origins: Mapped['origins'],
  transposed: (name: string) => boolean,
): string[] {
  return [...parameters].flatMap(([name, { spec }]) => {
    const tensor = state.get(name);
    if (tensor === undefined) return [];
    const turned = transposed(name);
    if (turned && spec.shape.length < 2) return [`${name} ${show(spec.shape)} has no two axes to be transposed`];
    const wanted = turned ? [...spec.shape.slice(0, -2), spec.shape.at(-1)!, spec.shape.at(-2)!] : spec.shape;
    const how = turned ? ', transposed' : '';
    const of = named(name, origins);
    if (!sameShape(tensor.shape, wanted)) return [`${of} must be ${show(wanted)}${how}, not ${show(tensor.shape)}`];
    return isFloat(tensor.dtype) ? [] : [`${of} must be of floats, not ${tensor.dtype}`];
  });
}
