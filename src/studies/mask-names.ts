import { OptionError } from '../core/errors.js';
import { unknown } from '../core/names.js';
import { int32From, reasonAgainst } from '../core/requirements.js';
import type { Mask } from '../masks/index.js';
import { maskForms, type Form, type Part } from './mask-forms.js';

/** A mask as the command line names it, such as `within:radius=256+global:first=16` or `strided:stride=128/causal`. */
export interface NamedMask {
  /** The words in full: two names of one mask have one. */
  readonly name: string;
  /** A few words for people. */
  readonly label: string;
  /** Given to `attend` as its options. */
  readonly causal: boolean;
  readonly mask: Mask | undefined;
  /** What it stands in for: a mask that never looks ahead approximates causal attention, any other full attention. */
  readonly target: 'full' | 'causal';
}

/** Words of before, whose numbers stand for the options of a form: `radius:256`. The others are names with their options left out. */
const aliases: Readonly<Record<string, readonly [name: string, form: number]>> = {
  radius: ['within', 0],
  'causal-window': ['within', 2],
};

/** A part of a mask with its name in full. */
type Named = Part & { readonly name: string };

const written = (options: Form['options'], value: (option: string) => string): string =>
  Object.keys(options)
    .map((option) => `:${option}=${value(option)}`)
    .join('');
const numbered = ({ options }: Form): string => written(options, () => 'N');

const forms = Object.entries(maskForms).flatMap(([name, all]) =>
  all.map((form) => [`${name}${numbered(form)}`, form.about]),
);

/** What names look like, for the help. */
export const maskGrammar = `Masks
${[
  ['none', 'every pair'],
  ['causal', 'keys up to the query'],
  ...forms,
  ['A+B', 'pairs of either, such as within:radius=256+global:first=16 (Longformer)'],
  ['A/causal', 'only keys up to the query, such as strided:stride=128/causal'],
]
  .map(([form, about]) => `  ${form!.padEnd(32)}  ${about}`)
  .join('\n')}`;

/** @throws OptionError for what is not understood, with every reason and the nearest word. */
export function namedMask(name: string): NamedMask {
  const [union = '', suffix, ...more] = name.split('/');
  const suffixed = suffix !== undefined;
  const reasons = more.length > 0 || (suffixed && suffix !== 'causal') ? ['only "/causal" may follow a mask'] : [];
  if (reasons.length === 0 && (union === 'none' || union === 'causal')) {
    const causal = union === 'causal' || suffixed;
    return {
      name: causal ? 'causal' : 'none',
      label: causal ? 'exact causal' : 'exact',
      causal,
      mask: undefined,
      target: causal ? 'causal' : 'full',
    };
  }
  const parts = union.split('+').flatMap((part) => partOf(part, reasons));
  if (reasons.length > 0) throw new OptionError(`mask "${name}": ${reasons.join('; ')}.`);
  const label = parts.map((part) => part.label).join(' + ');
  return {
    name: `${parts.map((part) => part.name).join('+')}${suffixed ? '/causal' : ''}`,
    label: suffixed ? `causal: ${label}` : label,
    causal: suffixed,
    mask: parts.map((part) => part.mask).reduce((all, mask) => all.or(mask)),
    target: suffixed || parts.every((part) => part.causal) ? 'causal' : 'full',
  };
}

/** `NAME:OPTION=VALUE…`, or a word of before; nothing and reasons for what is refused. */
function partOf(text: string, reasons: string[]): Named[] {
  const [word = '', ...settings] = text.split(':');
  const [name, only] = Object.hasOwn(aliases, word) ? aliases[word]! : [word];
  const all = Object.hasOwn(maskForms, name) ? maskForms[name]! : undefined;
  if (all === undefined) {
    const known = ['none', 'causal', ...Object.keys(maskForms), ...Object.keys(aliases)];
    reasons.push(
      word === 'causal' || word === 'none'
        ? `"${word}" stands alone; write A/causal for the causal part of A`
        : unknown('mask', [word], known),
    );
    return [];
  }
  const bare = all[only ?? 0]!;
  const counted = settings.length > 0 && settings.every((setting) => !setting.includes('='));
  if (only !== undefined || (counted && all.length === 1)) {
    const options = Object.keys(bare.options);
    if (settings.length !== options.length || !counted) {
      reasons.push(
        `${word} takes the form ${[word, ...options.map(() => 'N')].join(':')}, which is ${name}${numbered(bare)}; got "${text}"`,
      );
      return [];
    }
    return built(name, bare, Object.fromEntries(options.map((option, i) => [option, settings[i]!])), reasons);
  }
  return byOptions(name, all, text, reasons);
}

/** `NAME:OPTION=VALUE…` of a mask with these forms. */
function byOptions(name: string, all: readonly Form[], text: string, reasons: string[]): Named[] {
  const given = text
    .split(':')
    .slice(1)
    .map((setting) => /^([^=]*)=?(.*)$/s.exec(setting)!.slice(1) as [string, string]);
  const names = given.map(([option]) => option);
  const known = [...new Set(all.flatMap(({ options }) => Object.keys(options)))];
  const faults = [
    ...names
      .filter((option) => !known.includes(option))
      .map((option) => `${name}: ${unknown('option', [option], known)}`),
    ...[...new Set(names.filter((option, i) => names.indexOf(option) !== i))].map(
      (option) => `${name}: ${option} is given twice`,
    ),
  ];
  const form = all.find(({ options }) => {
    const wanted = Object.keys(options);
    return wanted.length === names.length && wanted.every((option) => names.includes(option));
  });
  if (faults.length === 0 && form === undefined) {
    faults.push(`${name} takes ${all.map((one) => `${name}${numbered(one)}`).join(' or ')}; got "${text}"`);
  }
  reasons.push(...faults);
  return faults.length > 0 ? [] : built(name, form!, Object.fromEntries(given), reasons);
}

/** A mask of options that are all there. */
function built(
  name: string,
  { options, build }: Form,
  given: Readonly<Record<string, string>>,
  reasons: string[],
): Named[] {
  const values = Object.keys(options).map((option) => {
    const text = given[option]!;
    return /^-?\d+$/.test(text) ? Number(text) : text;
  });
  const faults = Object.entries(options).flatMap(
    ([option, least], i) => reasonAgainst(`${name}: ${option}`, values[i], int32From(least)) ?? [],
  );
  reasons.push(...faults);
  if (faults.length > 0) return [];
  try {
    return [
      {
        ...build(...(values as [number, number])),
        name: `${name}${written(options, (option) => String(Number(given[option])))}`,
      },
    ];
  } catch (error) {
    if (!(error instanceof OptionError)) throw error;
    reasons.push(error.message.replace(/\.$/, ''));
    return [];
  }
}
