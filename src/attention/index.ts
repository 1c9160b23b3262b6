import { nearest, OptionError } from '../core/errors.js';
import * as exact from './exact/index.js';
import * as hashing from './hashing/index.js';
import * as kernels from './kernels/index.js';
import * as lowRank from './low-rank/index.js';
import type { Mechanism } from './mechanism.js';
import * as mixers from './mixers/index.js';
import * as patterns from './patterns/index.js';

export {
  attendWithin,
  defineAttention,
  type AttentionDefinition,
  type Call,
  type Cost,
  type Exactness,
  type ForwardResult,
  type Paper,
  type Recurrence,
  type Supports,
} from './define.js';
export type { CommonOptions } from './call.js';
export type { CacheKind, Decoder, DecoderOptions } from './decoder.js';
export { Mechanism, type AnyOptions, type AttentionResult, type CallOptions } from './mechanism.js';
export * from './options.js';
export * from './parameters.js';
export { allPairs, costOfPairs, headPairs } from './pairs.js';
export { measure, rehearse, type Rehearsal, type RehearseOptions, type Taken } from './rehearse.js';
export * from './exact/index.js';
export * from './hashing/index.js';
export * from './kernels/index.js';
export * from './low-rank/index.js';
export * from './mixers/index.js';
export * from './patterns/index.js';
export { dilationSchedule, windowSchedule } from './patterns/schedules.js';

const families: readonly Readonly<Record<string, unknown>>[] = [exact, patterns, lowRank, kernels, hashing, mixers];

/** Every mechanism, family by family, by name. */
export const mechanisms: readonly Mechanism[] = families.flatMap((family) =>
  (Object.values(family) as Mechanism[]).sort((a, b) => (a.name < b.name ? -1 : 1)),
);

/** The mechanism of a name. @throws OptionError for an unknown one, with the nearest. */
export function mechanism(name: string): Mechanism {
  const found = mechanisms.find((one) => one.name === name);
  if (found !== undefined) return found;
  const names = mechanisms.map((one) => one.name);
  const guess = nearest(name, names);
  const hint = guess === undefined ? `the mechanisms are ${names.join(', ')}` : `did you mean ${guess}?`;
  throw new OptionError(`mechanism: unknown mechanism "${name}"; ${hint}`);
}
