import { type AttentionShape, families, knownMechanisms, type Mechanism, mechanisms } from '../../attention/index.js';
import { nearest } from '../../core/errors.js';
import { baselines, coreSet, optionFaults, type Variant, variant } from '../../studies/mechanisms.js';
import { UsageError } from '../io.js';
import { named, setting } from '../mechanism-options.js';
import { pluginOption } from '../plugins.js';

export const mechanismOptions = {
  mechanisms: {
    takes: 'words',
    value: 'NAME,…',
    help: 'which, or all; with options as NAME:OPTION=VALUE, so that one may be there twice;\ndefault a core set of every family, see below',
  },
  families: { takes: 'words', value: 'NAME,…', help: 'all mechanisms of these families, beside --mechanisms' },
  set: {
    takes: 'words',
    value: 'NAME.OPTION=VALUE,…',
    help: 'options of mechanisms; a list of numbers as 1+2+3',
  },
  plugin: pluginOption,
} as const;

const familyWidth = Math.max(...families.map((family) => family.length));

/** The mechanisms by family, for the help. */
export const mechanismNotes = `Mechanisms
${families
  .map((family) => {
    const names = mechanisms.filter(({ definition }) => definition.family === family).map(({ name }) => name);
    return `  ${family.padEnd(familyWidth)} ${wrapped(names)}`;
  })
  .join('\n')}
  ${'core set'.padEnd(familyWidth)} ${wrapped(coreSet().map(({ name }) => name))}`;

function wrapped(names: readonly string[]): string {
  const lines = [''];
  for (const name of names) {
    if (lines.at(-1)!.length + name.length > 109 - familyWidth) lines.push('');
    lines[lines.length - 1] += lines.at(-1) === '' ? name : `, ${name}`;
  }
  return lines.join(`,\n${' '.repeat(familyWidth + 3)}`);
}

interface Wanted {
  readonly mechanisms: readonly string[] | undefined;
  readonly families: readonly string[] | undefined;
  readonly set: readonly string[] | undefined;
  readonly causal: boolean;
}

/** A mechanism that was chosen, and how. */
interface Chosen {
  readonly mechanism: Mechanism;
  readonly options: Readonly<Record<string, unknown>>;
  readonly byName: boolean;
}

/** What to compare. @throws UsageError with every reason at once. */
export function readVariants(who: string, wanted: Wanted, shape: AttentionShape): Variant[] {
  const refused: string[] = [];
  const chosen = choose(wanted, refused);
  const settings = readSettings(wanted.set ?? [], chosen, refused);
  // a baseline that only --set names is there anyway
  const more = [...settings.keys()].filter((one) => !chosen.some(({ mechanism }) => mechanism === one));
  const all = [...more.map((mechanism) => ({ mechanism, options: {}, byName: true })), ...chosen];
  const variants = all.map(({ mechanism, options }) => {
    const set = settings.get(mechanism) ?? {};
    for (const option of Object.keys(set).filter((name) => name in options)) {
      refused.push(`${mechanism.name}.${option} is given in --mechanisms and in --set`);
    }
    return variant(mechanism, { ...set, ...options });
  });
  if (wanted.causal) {
    const none = all.filter(({ mechanism, byName }) => byName && mechanism.definition.supports.causal === false);
    const names = [...new Set(none.map(({ mechanism }) => mechanism.name))];
    if (names.length > 0) refused.push(`no causal form: ${names.join(', ')}; leave them out, or --causal`);
  }
  const unique = variants.filter(({ name }, i) => variants.findIndex((other) => other.name === name) === i);
  refused.push(...optionFaults(unique, shape));
  if (refused.length > 0) throw new UsageError(`${who}: ${refused.join('; ')}.`);
  return unique;
}

function choose({ mechanisms: words, families: groups }: Wanted, refused: string[]): Chosen[] {
  const whole = (list: readonly Mechanism[]): Chosen[] =>
    list.map((mechanism) => ({ mechanism, options: {}, byName: false }));
  if (words === undefined && groups === undefined) return whole(coreSet());
  if (words?.includes('all')) {
    const others = [...words.filter((word) => word !== 'all'), ...(groups ?? [])];
    if (others.length > 0)
      refused.push(`--mechanisms all has ${others.join(', ')} among them; ask for one or the other`);
    return whole(knownMechanisms());
  }
  const inFamilies = knownMechanisms().filter(({ definition }) => groups?.includes(definition.family));
  for (const group of groups ?? []) {
    if (families.some((family) => family === group)) continue;
    const guess = nearest(group, families);
    const hint = guess === undefined ? `the families are ${families.join(', ')}` : `did you mean ${guess}?`;
    refused.push(`unknown family "${group}"; ${hint}`);
  }
  const byName = (words ?? []).flatMap((word) => {
    const [name = '', ...options] = word.split(':');
    return named(name, refused).map((mechanism) => ({
      mechanism,
      options: once(
        options.flatMap((option) => setting(mechanism, option, refused)),
        mechanism,
        refused,
      ),
      byName: true,
    }));
  });
  // a family brings what is not there by name
  return [...byName, ...whole(inFamilies.filter((one) => !byName.some(({ mechanism }) => mechanism === one)))];
}

function readSettings(
  words: readonly string[],
  chosen: readonly Chosen[],
  refused: string[],
): Map<Mechanism, Readonly<Record<string, unknown>>> {
  const given = new Map<Mechanism, [string, unknown][]>();
  for (const word of words) {
    const [, name, rest] = /^([^.=]+)\.(.+)$/.exec(word) ?? [];
    if (name === undefined || rest === undefined) {
      refused.push(`--set takes NAME.OPTION=VALUE; got "${word}"`);
      continue;
    }
    for (const mechanism of named(name, refused)) {
      if (!baselines.includes(name) && !chosen.some((one) => one.mechanism === mechanism)) {
        refused.push(`--set ${word}: ${name} is not among the mechanisms`);
      }
      given.set(mechanism, [...(given.get(mechanism) ?? []), ...setting(mechanism, rest, refused)]);
    }
  }
  return new Map([...given].map(([mechanism, pairs]) => [mechanism, once(pairs, mechanism, refused)]));
}

function once(
  pairs: readonly (readonly [string, unknown])[],
  { name }: Mechanism,
  refused: string[],
): Readonly<Record<string, unknown>> {
  const names = pairs.map(([option]) => option);
  for (const option of new Set(names.filter((one, i) => names.indexOf(one) !== i))) {
    refused.push(`${name}.${option} is given twice`);
  }
  return Object.fromEntries(pairs);
}
