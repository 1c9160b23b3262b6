import { OptionError } from '../core/errors.js';
import { unknown } from '../core/names.js';
import { plainObject } from '../core/requirements.js';
import type { PositionOptions } from '../nn/index.js';
import { checkScaling, type RopeScaling } from '../positions/scaling.js';
import { count, field, real } from './fields.js';

/** What a published configuration says of rotary positions, in both spellings. */
export type RopeJson = Readonly<Record<string, unknown>>;

/** Fields of a configuration with rotary positions. `rope_parameters` holds in one object what older files have in four places. */
export const ropeFields = {
  max_position_embeddings: count(2048),
  original_max_position_embeddings: count(null),
  rope_theta: real(null),
  rope_scaling: field<RopeJson | null>(plainObject, null),
  rope_parameters: field<RopeJson | null>(plainObject, null),
  partial_rotary_factor: real(null),
} as const;

export interface RopeGiven {
  readonly max_position_embeddings: number;
  readonly original_max_position_embeddings: number | null;
  readonly rope_theta: number | null;
  readonly rope_scaling: RopeJson | null;
  readonly rope_parameters: RopeJson | null;
  readonly partial_rotary_factor: number | null;
}

export interface RopeUsual {
  /** D, size of a head. */
  readonly headDim: number;
  /** Where the configuration says none; default 10000. */
  readonly base?: number;
  /** Share of the components that turn, where the configuration says none; default 1. */
  readonly rotary?: number;
}

/** Keys beside those of a kind of scaling. */
const common = ['rope_type', 'type', 'rope_theta', 'partial_rotary_factor'];
const keysOf: Readonly<Record<string, readonly string[]>> = {
  default: [],
  linear: ['factor'],
  dynamic: ['factor', 'original_max_position_embeddings'],
  yarn: [
    'factor',
    'original_max_position_embeddings',
    'attention_factor',
    'beta_fast',
    'beta_slow',
    'mscale',
    'mscale_all_dim',
    'truncate',
  ],
  llama3: ['factor', 'original_max_position_embeddings', 'low_freq_factor', 'high_freq_factor'],
  longrope: ['factor', 'original_max_position_embeddings', 'short_factor', 'long_factor', 'attention_factor'],
};
/** Earlier names, as the published code still reads them. */
const aliases: Readonly<Record<string, string>> = { su: 'longrope', mrope: 'default' };

/**
 * Rotary positions as JSON of `position`. `own` stands for `rope_parameters` or `rope_scaling` where layers differ.
 *
 * @throws OptionError for a kind of scaling that is none, or keys that it does not have.
 */
export function ropeOf(theirs: RopeGiven, usual: RopeUsual, own?: RopeJson | null): PositionOptions {
  const given = (own === undefined ? (theirs.rope_parameters ?? theirs.rope_scaling) : own) ?? {};
  const { headDim, base: usualBase = 10000, rotary: usualShare = 1 } = usual;
  const base = (given['rope_theta'] ?? theirs.rope_theta ?? usualBase) as number;
  const share = (given['partial_rotary_factor'] ?? theirs.partial_rotary_factor ?? usualShare) as number;
  const rotary = Math.trunc(headDim * share);
  const scaling = scalingOf(theirs, given);
  return {
    method: 'rope',
    base,
    ...(rotary !== headDim && { rotary }),
    ...(scaling && { scaling }),
  };
}

function scalingOf(theirs: RopeGiven, given: RopeJson): RopeScaling | undefined {
  const named = (given['rope_type'] ?? given['type'] ?? 'default') as string;
  const type = aliases[named] ?? named;
  const keys = keysOf[type];
  if (keys === undefined) {
    throw new OptionError(`rope_scaling: ${unknown('rope_type', [named], Object.keys(keysOf))}.`);
  }
  const strange = Object.keys(given).filter((key) => given[key] !== null && ![...common, ...keys].includes(key));
  if (strange.length > 0) {
    throw new OptionError(`rope_scaling of type ${named}: ${unknown('key', strange, [...common, ...keys])}.`);
  }
  const max = theirs.max_position_embeddings;
  const original = (given['original_max_position_embeddings'] ?? theirs.original_max_position_embeddings) as
    number | null;
  const made = builders[type]?.({ given, max, original });
  if (made !== undefined) checkScaling('rope_scaling', made);
  return made;
}

interface Read {
  readonly given: RopeJson;
  readonly max: number;
  readonly original: number | null;
}
/** What is given of these keys, by our names. */
const renamed = (given: RopeJson, names: Readonly<Record<string, string>>): object =>
  Object.fromEntries(
    Object.entries(names).flatMap(([theirs, ours]) =>
      given[theirs] === undefined || given[theirs] === null ? [] : [[ours, given[theirs]]],
    ),
  );

const builders: Readonly<Record<string, (read: Read) => RopeScaling>> = {
  linear: ({ given }) => ({ type: 'linear', factor: given['factor'] as number }),
  // the published code takes the length of the configuration for the trained one
  dynamic: ({ given, max }) => ({ type: 'dynamic', factor: given['factor'] as number, originalLength: max }),
  yarn: ({ given, max, original }) => ({
    type: 'yarn',
    factor: (given['factor'] ?? max / (original ?? max)) as number,
    originalLength: original ?? max,
    ...renamed(given, {
      attention_factor: 'attentionFactor',
      beta_fast: 'betaFast',
      beta_slow: 'betaSlow',
      mscale: 'mscale',
      mscale_all_dim: 'mscaleAllDim',
      truncate: 'truncate',
    }),
  }),
  llama3: ({ given, max, original }) => ({
    type: 'llama3',
    factor: given['factor'] as number,
    originalLength: original ?? max,
    ...renamed(given, { low_freq_factor: 'lowFrequency', high_freq_factor: 'highFrequency' }),
  }),
  longrope: ({ given, max, original }) => ({
    type: 'longrope',
    factor: (given['factor'] ?? Math.max(1, max / (original ?? max))) as number,
    originalLength: original ?? max,
    shortFactors: given['short_factor'] as number[],
    longFactors: given['long_factor'] as number[],
    ...renamed(given, { attention_factor: 'attentionFactor' }),
  }),
};
