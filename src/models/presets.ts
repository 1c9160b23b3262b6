import { OptionError } from '../core/errors.js';
import { unknown } from '../core/names.js';
import { mixed, pixels, pooled, replaced, summarised, type Preset } from './stacks.js';

export type { Preset } from './stacks.js';

/** Models to begin with, by name: sizes, then whole stacks. */
export const presets = {
  tiny: { help: 'learns a book in minutes on two cores', model: { layers: 4, width: 128, heads: 4, length: 256 } },
  small: { help: 'the model that speed is measured with', model: { layers: 6, width: 256, heads: 4, length: 1024 } },
  ...pooled,
  ...summarised,
  ...replaced,
  ...mixed,
  ...pixels,
} as const satisfies Readonly<Record<string, Preset>>;
export type PresetName = keyof typeof presets;

/** A model to begin with. @throws OptionError for a name that is none. */
export function presetOf(name: string): Preset {
  if (typeof name === 'string' && Object.hasOwn(presets, name)) return presets[name as PresetName];
  throw new OptionError(`preset: ${unknown('preset', [name], Object.keys(presets))}.`);
}

/** What the configuration of a model to begin with says. @throws OptionError for a name that is none. */
export const preset = (name: string): Readonly<Record<string, unknown>> => presetOf(name).model;
