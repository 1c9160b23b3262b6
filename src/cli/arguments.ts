import { parseArgs } from 'node:util';
import { nearest } from '../core/errors.js';
import { UsageError } from './io.js';

interface Common {
  readonly help: string;
}
/** What an option takes. `value` names it in the help. */
export type Option = Common &
  (
    | { readonly takes: 'nothing' }
    | { readonly takes: 'text'; readonly value: string; readonly default?: string }
    | { readonly takes: 'output'; readonly value: string; readonly default?: string; readonly beforeWords?: boolean }
    | { readonly takes: 'words'; readonly value: string; readonly default?: readonly string[] }
    | { readonly takes: 'files'; readonly value: string }
    | { readonly takes: 'choice'; readonly choices: readonly string[]; readonly default?: string }
    | { readonly takes: 'choices'; readonly choices: readonly string[]; readonly default: readonly string[] }
    | { readonly takes: 'integer'; readonly value: string; readonly range: Range; readonly default?: number }
    | { readonly takes: 'number'; readonly value: string; readonly range: Range; readonly default?: number }
    | {
        readonly takes: 'integers';
        readonly value: string;
        readonly range: Range;
        readonly default?: readonly number[];
      }
  );
type Range = readonly [least: number, most: number];

interface Taken {
  nothing: boolean;
  text: string;
  /** A file, or `-` where none is named: stdout. */
  output: string;
  words: readonly string[];
  /** Not cut at commas, which a path may have. */
  files: readonly string[];
  choice: string;
  choices: readonly string[];
  integer: number;
  number: number;
  integers: readonly number[];
}
export type Options = Readonly<Record<string, Option>>;
/** Values by option name; absent ones without a default are undefined. */
export type Values<O extends Options> = {
  readonly [N in keyof O]: O[N] extends { takes: 'nothing' | 'files' } | { default: unknown }
    ? Taken[O[N]['takes']]
    : Taken[O[N]['takes']] | undefined;
};

export interface Parsed<O extends Options> {
  readonly values: Values<O>;
  readonly positionals: readonly string[];
}

const lists = (option: Option): boolean =>
  option.takes === 'words' || option.takes === 'choices' || option.takes === 'integers';

/** What may be there several times; of anything else the last counts. */
const repeats = ({ takes }: Option): boolean => takes === 'words' || takes === 'files';

/** @throws UsageError in one sentence that starts with `who`. */
export function parseOptions<const O extends Options>(who: string, options: O, argv: readonly string[]): Parsed<O> {
  const config = Object.fromEntries(
    Object.entries(options).map(([name, { takes }]) => [
      name,
      { type: takes === 'nothing' ? ('boolean' as const) : ('string' as const) },
    ]),
  );
  const { tokens } = parseArgs({
    args: withStdout(argv, options),
    options: config,
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const positionals: string[] = [];
  const given = new Map<string, readonly string[]>();
  for (const token of tokens) {
    if (token.kind === 'positional') positionals.push(token.value);
    if (token.kind !== 'option') continue;
    const option = Object.hasOwn(options, token.name) ? options[token.name] : undefined;
    if (option === undefined) throw unknownOption(who, token.rawName, options);
    const before = repeats(option) ? (given.get(token.name) ?? []) : [];
    given.set(token.name, [...before, valueOf(who, token, option)]);
  }
  const values = Object.entries(options).map(([name, option]) => {
    const texts = given.get(name);
    return [name, texts === undefined ? absent(option) : read(who, name, option, texts)];
  });
  return { values: Object.fromEntries(values) as Values<O>, positionals };
}

/**
 * Arguments in which an output without a file has `-`. The next word is its file, unless it is an option; where words follow that are
 * no options of this one (`beforeWords`), only `-` and what looks like a path is: `--json flash` prints and names a mechanism.
 */
function withStdout(argv: readonly string[], options: Options): string[] {
  const end = argv.indexOf('--');
  return argv.map((word, i) => {
    const option = Object.hasOwn(options, word.slice(2)) && word.startsWith('--') ? options[word.slice(2)] : undefined;
    if (option?.takes !== 'output' || (end !== -1 && i > end)) return word;
    const next = argv[i + 1];
    const isFile = next !== undefined && (next === '-' || !next.startsWith('-'));
    const isPath = next === '-' || /[./\\]/.test(next ?? '');
    return isFile && (option.beforeWords !== true || isPath) ? word : `${word}=-`;
  });
}

function unknownOption(who: string, rawName: string, options: Options): UsageError {
  const guess = rawName.startsWith('--') ? nearest(rawName.slice(2), Object.keys(options)) : undefined;
  const hint = guess === undefined ? `see ${who} --help` : `did you mean --${guess}?`;
  return new UsageError(`${who}: unknown option ${rawName}; ${hint}`);
}

function valueOf(who: string, token: { rawName: string; value?: string | undefined }, option: Option): string {
  const { rawName, value } = token;
  if (option.takes === 'nothing') {
    if (value !== undefined) throw new UsageError(`${who}: ${rawName} takes no value; got "${value}".`);
    return '';
  }
  if (value === undefined || value === '' || value.startsWith('--')) {
    throw new UsageError(`${who}: ${rawName} needs a value, such as ${rawName} ${example(option)}.`);
  }
  return value;
}

function example(option: Exclude<Option, { takes: 'nothing' }>): string {
  if ('choices' in option) return option.choices[0]!;
  const given = String('default' in option ? (option.default ?? '') : '');
  if (given !== '') return given;
  return 'range' in option && option.takes !== 'integers' ? String(option.range[0]) : option.value;
}

function absent(option: Option): unknown {
  if (option.takes === 'nothing') return false;
  return option.takes === 'files' ? [] : option.default;
}

function read(who: string, name: string, option: Option, texts: readonly string[]): unknown {
  if (option.takes === 'nothing') return true;
  if (option.takes === 'files') return texts;
  const text = texts.join(',');
  const parts = lists(option) ? text.split(',').map((part) => part.trim()) : [text];
  if (parts.includes('')) throw new UsageError(`${who}: --${name} has an empty entry; got "${text}".`);
  switch (option.takes) {
    case 'text':
    case 'output':
      return text;
    case 'words':
      return parts;
    case 'choice':
    case 'choices': {
      const values = parts.map((part) => choose(who, name, option.choices, part));
      return option.takes === 'choice' ? values[0] : values;
    }
    case 'number':
      return number(who, name, option.range, text);
    case 'integer':
    case 'integers': {
      const values = parts.map((part) => integer(who, name, option.range, part));
      return option.takes === 'integer' ? values[0] : values;
    }
    default:
      return option satisfies never;
  }
}

function choose(who: string, name: string, choices: readonly string[], text: string): string {
  if (choices.includes(text)) return text;
  const guess = nearest(text, choices);
  const hint = guess === undefined ? '' : ` (did you mean ${guess}?)`;
  throw new UsageError(`${who}: --${name} must be ${alternatives(choices)}; got "${text}"${hint}.`);
}

function integer(who: string, name: string, [least, most]: Range, text: string): number {
  const value = /^[+-]?\d+$/.test(text) ? Number(text) : NaN;
  if (value >= least && value <= most) return value;
  throw new UsageError(`${who}: --${name} must be a whole number from ${least} to ${most}; got "${text}".`);
}

function number(who: string, name: string, [least, most]: Range, text: string): number {
  const value = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : NaN;
  if (value >= least && value <= most) return value;
  throw new UsageError(`${who}: --${name} must be a number from ${least} to ${most}; got "${text}".`);
}

export function alternatives(words: readonly string[]): string {
  return words.length === 1 ? words[0]! : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;
}
