import { describe } from '../../core/describe.js';
import { nearest, OptionError } from '../../core/errors.js';
import { checkValues, text } from '../../core/requirements.js';
import type { OptionSpecs } from '../../attention/options.js';
import { MixerKind } from './define.js';
import { fnetMixer } from './fnet.js';
import { synthesizerMixer } from './synthesizer.js';

/** Every mixer of this package, by name; multi-head attention by a mechanism is the one that needs none. */
export const mixers: readonly MixerKind[] = [fnetMixer, synthesizerMixer];

const registered = new Map<string, { readonly kind: MixerKind; readonly plugin?: string }>();

const find = (name: string): MixerKind | undefined =>
  mixers.find((one) => one.name === name) ?? registered.get(name)?.kind;

/**
 * Makes a mixer of your own known by its name: to `mixer` and to the configurations of models. Returns a function that takes the name
 * back.
 *
 * @throws OptionError for a name that is taken, or for what `defineMixer` did not make.
 */
export function registerMixer<O extends OptionSpecs, P extends string>(
  own: MixerKind<O, P>,
  options: { readonly plugin?: string } = {},
): () => void {
  checkValues('registerMixer', options, { plugin: text });
  if (!(own instanceof MixerKind)) throw new OptionError('registerMixer: takes what defineMixer returns.');
  const kind = own as unknown as MixerKind;
  const other = find(kind.name);
  if (other !== undefined && other !== kind) {
    throw new OptionError(`registerMixer: there is a mixer "${kind.name}" already; take another name.`);
  }
  if (other === undefined) registered.set(kind.name, { kind, ...options });
  return () => {
    if (other === undefined && registered.get(kind.name)?.kind === kind) registered.delete(kind.name);
  };
}

/** The file that a registered mixer was said to come from. */
export const pluginOfMixer = (name: string): string | undefined => registered.get(name)?.plugin;

/** The mixer of a name, of this package or registered. @throws OptionError for an unknown one, with the nearest. */
export function mixer(name: string): MixerKind {
  const found = find(name);
  if (found !== undefined) return found;
  const names = [...mixers.map((one) => one.name), ...registered.keys()];
  const guess = typeof name === 'string' ? nearest(name, names) : undefined;
  const hint = guess === undefined ? `the mixers are ${names.join(', ')}` : `did you mean ${guess}?`;
  throw new OptionError(`mixer: unknown mixer ${describe(name)}; ${hint}`);
}
