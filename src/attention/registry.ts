import { Registry, type RegisterOptions } from '../core/registry.js';
import type { Supports } from './definition.js';
import * as exact from './exact/index.js';
import * as hashing from './hashing/index.js';
import * as kernelMethods from './kernel-methods/index.js';
import * as lowRank from './low-rank/index.js';
import { Mechanism } from './mechanism.js';
import * as mixers from './mixers/index.js';
import type { OptionSpecs } from './options.js';
import * as patterns from './patterns/index.js';

const ofPackage: readonly Readonly<Record<string, unknown>>[] = [
  exact,
  patterns,
  lowRank,
  kernelMethods,
  hashing,
  mixers,
];

/** Every mechanism of this package, family by family, by name. */
export const mechanisms: readonly Mechanism[] = ofPackage.flatMap((family) =>
  (Object.values(family) as Mechanism[]).sort((a, b) => (a.name < b.name ? -1 : 1)),
);

const registry = new Registry(
  'mechanism',
  'defineAttention',
  mechanisms,
  (value): value is Mechanism => value instanceof Mechanism,
);

export type { RegisterOptions };

/**
 * Makes a mechanism of your own known by its name: to `mechanism`, to the configurations of models, and so to what loads, trains and
 * compares them. `mechanisms`, the list of this package, stays as it is. Returns a function that takes the name back.
 *
 * @throws OptionError for a name that is taken, or for what `defineAttention` did not make.
 */
export const registerMechanism = <O extends OptionSpecs, P extends string, I extends string, S extends Supports>(
  own: Mechanism<O, P, I, S>,
  options: RegisterOptions = {},
): (() => void) => registry.register('registerMechanism', own, options);

/** The mechanisms of this package, then those that were registered. */
export const knownMechanisms = (): readonly Mechanism[] => registry.known();

/** The file that a registered mechanism was said to come from. */
export const pluginOf = (name: string): string | undefined => registry.pluginOf(name);

/** The mechanism of a name, of this package or registered. @throws OptionError for an unknown one, with the nearest. */
export const mechanism = (name: string): Mechanism => registry.get(name);

/** Why the mechanism that a configuration names cannot be had; undefined if it can. */
export const reasonAgainstMechanism = (name: string, plugin: string | undefined): string | undefined =>
  registry.reasonAgainst(name, plugin, 'registerMechanism');
