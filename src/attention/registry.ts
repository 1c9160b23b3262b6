import { nearest, OptionError } from '../core/errors.js';
import { checkValue, checkValues, text } from '../core/requirements.js';
import type { AttentionDefinition, Supports } from './definition.js';
import * as exact from './exact/index.js';
import * as hashing from './hashing/index.js';
import * as kernels from './kernels/index.js';
import * as lowRank from './low-rank/index.js';
import { Mechanism } from './mechanism.js';
import * as mixers from './mixers/index.js';
import type { OptionSpecs } from './options.js';
import * as patterns from './patterns/index.js';

const ofPackage: readonly Readonly<Record<string, unknown>>[] = [exact, patterns, lowRank, kernels, hashing, mixers];

/** Every mechanism of this package, family by family, by name. */
export const mechanisms: readonly Mechanism[] = ofPackage.flatMap((family) =>
  (Object.values(family) as Mechanism[]).sort((a, b) => (a.name < b.name ? -1 : 1)),
);

export interface RegisterOptions {
  /** The file that defines it: kept in configurations, so that a model that is loaded without it can name it. */
  readonly plugin?: string;
}

interface Registered extends RegisterOptions {
  readonly mechanism: Mechanism;
}

const registered = new Map<string, Registered>();

/**
 * Makes a mechanism of your own known by its name: to `mechanism`, to the configurations of models, and so to what loads, trains and
 * compares them. `mechanisms`, the list of this package, stays as it is. Returns a function that takes the name back.
 *
 * @throws OptionError for a name that is taken, or for what `defineAttention` did not make.
 */
export function registerMechanism<O extends OptionSpecs, P extends string, I extends string, S extends Supports>(
  own: Mechanism<O, P, I, S>,
  options: RegisterOptions = {},
): () => void {
  const who = 'registerMechanism';
  checkValues(who, options, { plugin: text });
  const { plugin } = options;
  if (!(own instanceof Mechanism)) throw new OptionError(`${who}: takes what defineAttention returns; ${whatIs(own)}.`);
  const one: Mechanism = own;
  const { name } = one;
  const other = find(name);
  if (other !== undefined && other !== one) {
    const where = registered.get(name)?.plugin;
    const whose = mechanisms.includes(other) ? ' in subquad' : where === undefined ? '' : ` in ${where}`;
    throw new OptionError(`${who}: there is a mechanism "${name}"${whose} already; take another name.`);
  }
  if (other === undefined) registered.set(name, { mechanism: one, ...(plugin !== undefined && { plugin }) });
  return () => {
    if (other === undefined && registered.get(name)?.mechanism === one) registered.delete(name);
  };
}

/** A mechanism of another copy of the package has tensors, devices and errors that are strange here. */
function whatIs(value: unknown): string {
  const { name } = ((value as { readonly definition?: unknown } | null | undefined)?.definition ??
    {}) as Partial<AttentionDefinition>;
  return typeof name === 'string'
    ? `"${name}" comes from another copy of subquad, so import both from one`
    : `got ${value === null ? 'null' : typeof value}`;
}

/** The mechanisms of this package, then those that were registered. */
export const knownMechanisms = (): readonly Mechanism[] => [
  ...mechanisms,
  ...[...registered.values()].map((one) => one.mechanism),
];

/** The file that a registered mechanism was said to come from. */
export const pluginOf = (name: string): string | undefined => registered.get(name)?.plugin;

const find = (name: string): Mechanism | undefined => knownMechanisms().find((one) => one.name === name);

/** The mechanism of a name, of this package or registered. @throws OptionError for an unknown one, with the nearest. */
export function mechanism(name: string): Mechanism {
  checkValue('mechanism', 'name', name, text);
  const found = find(name);
  if (found === undefined) throw new OptionError(`mechanism: ${unknownMechanism(name)}`);
  return found;
}

/** What is said of a name that is none. */
export function unknownMechanism(name: string): string {
  const names = knownMechanisms().map((one) => one.name);
  const guess = nearest(name, names);
  const hint = guess === undefined ? `the mechanisms are ${names.join(', ')}` : `did you mean ${guess}?`;
  return `unknown mechanism "${name}"; ${hint}`;
}
