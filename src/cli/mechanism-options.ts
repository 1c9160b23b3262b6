import { knownMechanisms, mechanism as find, type Mechanism } from '../attention/index.js';
import { parseOption, requirement } from '../attention/options.js';
import { nearest, OptionError } from '../core/errors.js';
import { UsageError } from './io.js';

type Settings = Readonly<Record<string, unknown>>;

/** Mechanisms by name, `all` for every one. @throws UsageError with every unknown name at once. */
export function chooseMechanisms(who: string, words: readonly string[]): readonly Mechanism[] {
  if (words.includes('all')) return knownMechanisms();
  const refused: string[] = [];
  const chosen = words.flatMap((word) => named(word, refused));
  refuse(who, refused);
  return [...new Set(chosen)];
}

/** `option=value` words as options of one mechanism. @throws UsageError with every refused word at once. */
export function readSettings(who: string, mechanism: Mechanism, words: readonly string[]): Settings {
  const refused: string[] = [];
  const settings = Object.fromEntries(words.flatMap((word) => setting(mechanism, word, refused)));
  refuse(who, refused);
  return settings;
}

/** `mechanism.option=value` words as options by mechanism. @throws UsageError with every refused word at once. */
export function readAllSettings(who: string, words: readonly string[]): ReadonlyMap<string, Settings> {
  const refused: string[] = [];
  const settings = new Map<string, Settings>();
  for (const word of words) {
    const [, name, rest] = /^([^.=]+)\.(.*)$/.exec(word) ?? [];
    if (name === undefined || rest === undefined) {
      refused.push(`--set takes NAME.OPTION=VALUE; got "${word}"`);
      continue;
    }
    for (const mechanism of named(name, refused)) {
      settings.set(name, { ...settings.get(name), ...Object.fromEntries(setting(mechanism, rest, refused)) });
    }
  }
  refuse(who, refused);
  return settings;
}

/** The mechanism of a name; else none, and a sentence among those `refused`. */
export function named(name: string, refused: string[]): Mechanism[] {
  try {
    return [find(name)];
  } catch (error) {
    if (!(error instanceof OptionError)) throw error;
    refused.push(error.message.replace('mechanism: ', ''));
    return [];
  }
}

/** An `option=value` word; else none, and a sentence among those `refused`. Ranges are checked where the shape is known. */
export function setting({ name, definition }: Mechanism, word: string, refused: string[]): [string, unknown][] {
  const [, option = word, text] = /^([^=]*)=(.*)$/.exec(word) ?? [];
  const spec = Object.hasOwn(definition.options, option) ? definition.options[option] : undefined;
  if (spec === undefined) {
    const known = Object.keys(definition.options);
    const guess = nearest(option, known);
    const hint = guess === undefined ? `it has ${known.join(', ') || 'none'}` : `did you mean ${guess}?`;
    refused.push(`${name} has no option "${option}"; ${hint}`);
    return [];
  }
  const value = text === undefined ? undefined : parseOption(spec, text);
  if (value !== undefined) return [[option, value]];
  refused.push(`${name}.${option} must be ${requirement(spec)}; got "${text ?? ''}"`);
  return [];
}

function refuse(who: string, reasons: readonly string[]): void {
  if (reasons.length > 0) throw new UsageError(`${who}: ${reasons.join('; ')}`);
}
