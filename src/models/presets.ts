import type { Paper } from '../attention/index.js';
import { OptionError } from '../core/errors.js';
import { unknown } from '../core/names.js';
import type { Given } from './config-sections.js';

/** A model to begin with: what its configuration says, as `readConfig` reads it. */
export interface Preset {
  /** What it is, in a line. */
  readonly help: string;
  readonly paper?: Paper;
  readonly model: Given;
}

/** Models to begin with, by name. */
export const presets = {
  tiny: { help: 'learns a book in minutes on two cores', model: { layers: 4, width: 128, heads: 4, length: 256 } },
  small: { help: 'the model that speed is measured with', model: { layers: 6, width: 256, heads: 4, length: 1024 } },
} as const satisfies Readonly<Record<string, Preset>>;
export type PresetName = keyof typeof presets;

/** What the configuration of a model to begin with says. @throws OptionError for a name that is none. */
export function preset(name: string): Given {
  if (typeof name === 'string' && Object.hasOwn(presets, name)) return presets[name as PresetName].model;
  throw new OptionError(`preset: ${unknown('preset', [name], Object.keys(presets))}.`);
}
