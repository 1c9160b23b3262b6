import { parseArgs } from 'node:util';
import { unknown } from '../core/names.js';
import { between, oneOf, reasonAgainst, wholeBetween, type Requirement } from '../core/requirements.js';
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
    | { readonly takes: 'texts'; readonly value: string; readonly default?: readonly string[] }
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
  /** Not cut at commas, which a path or a sentence may have. */
  texts: readonly string[];
  choice: string;
  choices: readonly string[];
  integer: number;
  number: number;
  integers: readonly number[];
}
export type Options = Readonly<Record<string, Option>>;
/** Values by option name; absent ones without a default are undefined. */
export type Values<O extends Options> = {
  readonly [N in keyof O]: O[N] extends { takes: 'nothing' | 'texts' } | { default: unknown }
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
const repeats = ({ takes }: Option): boolean => takes === 'words' || takes === 'texts';

/** @throws UsageError in one sentence that starts with `who`, with every reason. */
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
  const reasons: string[] = [];
  const strange: string[] = [];
  for (const token of tokens) {
    if (token.kind === 'positional') positionals.push(token.value);
    if (token.kind !== 'option') continue;
    const option = Object.hasOwn(options, token.name) ? options[token.name] : undefined;
    const reason = option && reasonAgainstToken(token, option);
    if (option === undefined) strange.push(token.rawName);
    else if (reason !== undefined) reasons.push(reason);
    else given.set(token.name, [...(repeats(option) ? (given.get(token.name) ?? []) : []), token.value ?? '']);
  }
  const values = Object.entries(options).map(([name, option]) => {
    const texts = given.get(name);
    return [name, texts === undefined ? absent(option) : read(`--${name}`, option, texts, reasons)];
  });
  const known = Object.keys(options).map((name) => `--${name}`);
  if (strange.length > 0) reasons.push(unknown('option', strange, known, `see ${who} --help`));
  if (reasons.length > 0) throw new UsageError(`${who}: ${reasons.join('; ')}.`);
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

function reasonAgainstToken(
  { rawName, value }: { rawName: string; value?: string | undefined },
  option: Option,
): string | undefined {
  if (option.takes === 'nothing') return value === undefined ? undefined : `${rawName} takes no value; got "${value}"`;
  return value === undefined || value === '' || value.startsWith('--')
    ? `${rawName} needs a value, such as ${rawName} ${example(option)}`
    : undefined;
}

function example(option: Exclude<Option, { takes: 'nothing' }>): string {
  if ('choices' in option) return option.choices[0]!;
  const given = String('default' in option ? (option.default ?? '') : '');
  if (given !== '') return given;
  return 'range' in option && option.takes !== 'integers' ? String(option.range[0]) : option.value;
}

function absent(option: Option): unknown {
  if (option.takes === 'nothing') return false;
  return option.takes === 'texts' ? (option.default ?? []) : option.default;
}

/** What the texts of an option mean; a reason for each that means nothing. */
function read(name: string, option: Option, texts: readonly string[], reasons: string[]): unknown {
  if (option.takes === 'nothing') return true;
  if (option.takes === 'texts') return texts;
  const text = texts.join(',');
  const parts = lists(option) ? text.split(',').map((part) => part.trim()) : [text];
  if (parts.includes('')) return void reasons.push(`${name} has an empty entry; got "${text}"`);
  const requirement = requirementOf(option);
  const values = parts.map((part) => ('range' in option ? numberIn(part, option.takes) : part));
  if (requirement !== undefined) {
    reasons.push(...values.flatMap((value) => reasonAgainst(name, value, requirement) ?? []));
  }
  return lists(option) ? values : values[0];
}

function requirementOf(option: Option): Requirement | undefined {
  if ('choices' in option) return oneOf(option.choices);
  if (!('range' in option)) return undefined;
  return option.takes === 'number' ? between(...option.range) : wholeBetween(...option.range);
}

/** The number that a text is; else the text, as whoever typed it is shown it. */
function numberIn(text: string, takes: 'integer' | 'integers' | 'number'): number | string {
  const form = takes === 'number' ? /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i : /^[+-]?\d+$/;
  return form.test(text) ? Number(text) : text;
}
