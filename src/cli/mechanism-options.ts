import { knownMechanisms, mechanism as find, type Mechanism } from '../attention/index.js';
import { parseOption, requirementOf, type OptionSpecs } from '../attention/options.js';
import { unknown } from '../core/names.js';
import { reasonAgainst } from '../core/requirements.js';
import { OptionError } from '../core/errors.js';
import { feedForward, reasonAgainstFeedForward } from '../nn/feed-forward/registry.js';
import { variant, type Variant } from '../studies/mechanisms.js';
import { UsageError } from './io.js';

// One syntax in every command: NAME:OPTION=VALUE:OPTION=VALUE names a mechanism with options, as tables print it. --set has the same
// words for mechanisms that are chosen elsewhere, by a model, a file or a family; there the name may be left out where only one is
// chosen, and NAME.OPTION=VALUE is understood too.

export type Settings = Readonly<Record<string, unknown>>;

/** A mechanism that a command line names, with its options. */
export interface Chosen {
  readonly mechanism: Mechanism;
  readonly options: Settings;
}

/** For the help of options that take it. */
export const MECHANISM = 'NAME:OPTION=VALUE…';
export const setOption = {
  takes: 'words',
  value: '[NAME:]OPTION=VALUE,…',
  default: [],
  help: 'options of mechanisms that are chosen elsewhere; a list of numbers as 1+2+3',
} as const;

/** `NAME:OPTION=VALUE:…`; nothing and a reason for what is refused. */
export function readMechanism(word: string, reasons: string[]): Chosen[] {
  const [name = '', ...settings] = word.split(':');
  return named(name, reasons).map((mechanism) => ({
    mechanism,
    options: once(
      mechanism,
      settings.flatMap((text) => setting(mechanism, text, reasons)),
      reasons,
    ),
  }));
}

/** The one mechanism of a command, with what `--set` says of it. @throws UsageError with every reason. */
export function chooseMechanism(who: string, word: string, set: readonly string[]): Chosen {
  const reasons: string[] = [];
  const [chosen] = readMechanism(word, reasons);
  const found = chosen && withSet([chosen], set, reasons)[0];
  refuse(who, reasons);
  return found!;
}

/**
 * The options of a mixer or a feed-forward layer that is named as `NAME:OPTION=VALUE:…`, and what `--set` says of it.
 *
 * @throws UsageError with every reason.
 */
export function optionsOfKind(who: string, kind: Optioned, word: string, set: readonly string[] = []): Settings {
  const reasons: string[] = [];
  const prefix = new RegExp(`^${kind.name}[.:]`);
  const texts = [...word.split(':').slice(1), ...set.flatMap((one) => one.replace(prefix, '').split(':'))];
  const found = once(
    kind,
    texts.flatMap((text) => setting(kind, text, reasons)),
    reasons,
  );
  refuse(who, reasons);
  return found;
}

/** Feed-forward layers as `NAME:OPTION=VALUE:…`, as sections of a configuration. @throws UsageError, with the nearest for an unknown name. */
export function readFeedForwards(
  who: string,
  words: readonly string[],
): readonly { name: string; options: Settings }[] {
  return words.map((word) => {
    const [name = ''] = word.split(':');
    const missing = reasonAgainstFeedForward(name, undefined);
    if (missing !== undefined) throw new UsageError(`${who}: --feed-forward: ${missing}.`);
    return { name, options: optionsOfKind(who, feedForward(name), word) };
  });
}

/** Several, each once; `all` for every one. @throws UsageError with every reason. */
export function chooseVariants(who: string, words: readonly string[], set: readonly string[]): readonly Variant[] {
  const reasons: string[] = [];
  const chosen = words.includes('all')
    ? knownMechanisms().map((mechanism) => ({ mechanism, options: {} }))
    : words.flatMap((word) => readMechanism(word, reasons));
  const found = variantsOf(withSet(chosen, set, reasons));
  refuse(who, reasons);
  return found;
}

/** Each once. */
export function variantsOf(chosen: readonly Chosen[]): Variant[] {
  const all = chosen.map(({ mechanism, options }) => variant(mechanism, options));
  return all.filter(({ name }, i) => all.findIndex((other) => other.name === name) === i);
}

/** Mechanisms with what `--set` says of them; `others` are those that may be set though they are not chosen, and then are. */
export function withSet<C extends Chosen>(
  chosen: readonly C[],
  words: readonly string[],
  reasons: string[],
  others: readonly string[] = [],
): (C | Chosen)[] {
  const given = new Map<Mechanism, Setting[]>();
  for (const word of words) {
    for (const [mechanism, settings] of readSet(word, chosen, others, reasons)) {
      given.set(mechanism, [...(given.get(mechanism) ?? []), ...settings]);
    }
  }
  const added = [...given.keys()].filter((one) => !chosen.some(({ mechanism }) => mechanism === one));
  return [...added.map((mechanism) => ({ mechanism, options: {} })), ...chosen].map((one) => {
    const { mechanism, options } = one;
    const whole = once(mechanism, [...(given.get(mechanism) ?? []), ...Object.entries(options)], reasons);
    return { ...one, options: whole };
  });
}

/** What has options: a mechanism, a mixer, or a feed-forward layer. */
interface Optioned {
  readonly name: string;
  readonly definition: { readonly options: OptionSpecs };
}

type Setting = readonly [option: string, value: unknown];

/** A word of `--set`; nothing and a reason for one that is refused. */
function readSet(
  word: string,
  chosen: readonly Chosen[],
  others: readonly string[],
  reasons: string[],
): (readonly [Mechanism, Setting[]])[] {
  const [, name, rest = word] = /^([^.:=]+)[.:](.*)$/.exec(word) ?? [];
  const all = [...new Set(chosen.map(({ mechanism }) => mechanism))];
  if (name === undefined && all.length !== 1) {
    reasons.push(`--set ${word} must name one of the mechanisms, as NAME:${word}`);
    return [];
  }
  return (name === undefined ? all : named(name, reasons)).map((mechanism) => {
    if (!all.includes(mechanism) && !others.includes(mechanism.name)) {
      reasons.push(`--set ${word}: ${name} is not among the mechanisms`);
    }
    return [mechanism, rest.split(':').flatMap((text) => setting(mechanism, text, reasons))] as const;
  });
}

/** The mechanism of a name; nothing and a reason where there is none. */
function named(name: string, reasons: string[]): Mechanism[] {
  try {
    return [find(name)];
  } catch (error) {
    if (!(error instanceof OptionError)) throw error;
    reasons.push(error.message.replace(/^mechanism: /, '').replace(/\.$/, ''));
    return [];
  }
}

/** `OPTION=VALUE`; nothing and a reason for one that is refused. */
function setting({ name, definition }: Optioned, word: string, reasons: string[]): Setting[] {
  const [, option = word, text = ''] = /^([^=]*)=(.*)$/.exec(word) ?? [];
  const known = Object.keys(definition.options);
  const spec = Object.hasOwn(definition.options, option) ? definition.options[option] : undefined;
  if (spec === undefined) {
    reasons.push(`${name}: ${unknown('option', [option], known)}`);
    return [];
  }
  const value = parseOption(spec, text) ?? text;
  const reason = reasonAgainst(`${name}: ${option}`, value, requirementOf(spec));
  if (reason === undefined) return [[option, value]];
  reasons.push(reason);
  return [];
}

/** Options of which each is given once. */
function once({ name }: Pick<Optioned, 'name'>, settings: readonly Setting[], reasons: string[]): Settings {
  const names = settings.map(([option]) => option);
  for (const option of new Set(names.filter((one, i) => names.indexOf(one) !== i))) {
    reasons.push(`${name}: ${option} is given twice`);
  }
  return Object.fromEntries(settings);
}

function refuse(who: string, reasons: readonly string[]): void {
  if (reasons.length > 0) throw new UsageError(`${who}: ${reasons.join('; ')}.`);
}
