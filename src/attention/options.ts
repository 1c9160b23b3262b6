import { describe } from '../core/describe.js';
import { ShapeError } from '../core/errors.js';
import {
  anything,
  atLeast,
  between,
  checkValue,
  checkValues,
  flag as aFlag,
  listOf,
  oneOf,
  reasonsAgainst,
  someNumber,
  text,
  wholeBetween,
  wholeFrom,
  type Requirement,
  type Requirements,
} from '../core/requirements.js';

/** Sizes of an attention: batch, query heads, key/value heads, queries, keys, size of a key, size of a value. */
export interface AttentionShape {
  readonly B: number;
  readonly H: number;
  readonly G: number;
  readonly L: number;
  readonly S: number;
  readonly D: number;
  readonly E: number;
}

export interface Described<T> {
  /** One line: what it does and its unit. */
  readonly help: string;
  /** A value, or a rule that finds one for a shape. */
  readonly default: T | ((shape: AttentionShape) => T);
}

/** What an option of a mechanism takes: validation, command line, help and tables are derived from it. */
export type OptionSpec =
  | (Described<number> & { readonly type: 'integer'; readonly min: number; readonly max?: number })
  | (Described<number> & { readonly type: 'number'; readonly min: number; readonly max?: number })
  | (Described<boolean> & { readonly type: 'boolean' })
  | (Described<string> & { readonly type: 'choice'; readonly choices: readonly string[] })
  | (Described<readonly number[]> & { readonly type: 'integers'; readonly min: number; readonly max?: number });

export const optionTypes = [
  'integer',
  'number',
  'boolean',
  'choice',
  'integers',
] as const satisfies OptionSpec['type'][];

export type OptionSpecs = Readonly<Record<string, OptionSpec>>;

type ValueOf<O extends OptionSpec> = O extends { type: 'choice'; choices: readonly (infer C)[] }
  ? C
  : O extends { type: 'boolean' }
    ? boolean
    : O extends { type: 'integers' }
      ? readonly number[]
      : number;

/** Option values by name, all present. */
export type OptionValues<O extends OptionSpecs> = { readonly [N in keyof O]: ValueOf<O[N]> };

export type Default<T> = T | ((shape: AttentionShape) => T);
export interface Range<T> {
  readonly min: number;
  readonly max?: number;
  readonly default: Default<T>;
  readonly help: string;
}

/** The entry of an option, complete; what a default must be is seen where it is used. */
function specOf<T extends string, S extends object>(
  type: T,
  spec: S,
  more: Requirements = range,
): S & { readonly type: T } {
  checkValues(`option of type ${type}`, spec, { default: anything, help: text, ...more }, ['default', 'help']);
  return { type, ...spec };
}
const range: Requirements = { min: someNumber, max: someNumber };

export const integer = (spec: Range<number>): Range<number> & { readonly type: 'integer' } => specOf('integer', spec);
export const number = (spec: Range<number>): Range<number> & { readonly type: 'number' } => specOf('number', spec);
/** A list of whole numbers; on the command line `1+2+3`. */
export const integers = (spec: Range<readonly number[]>): Range<readonly number[]> & { readonly type: 'integers' } =>
  specOf('integers', spec);
export const flag = (spec: {
  readonly default: boolean;
  readonly help: string;
}): Described<boolean> & { readonly type: 'boolean' } => specOf('boolean', spec, { default: aFlag });
export const choice = <const C extends readonly string[]>(
  choices: C,
  spec: { readonly default: C[number]; readonly help: string },
): { readonly type: 'choice'; readonly choices: C; readonly default: C[number]; readonly help: string } => {
  checkValue('option of type choice', 'choices', choices, words);
  return { choices, ...specOf('choice', spec, { default: oneOf(choices) }) };
};
const words: Requirement = {
  must: 'a list of one or more words',
  holds: (list) => Array.isArray(list) && list.length > 0 && list.every((word) => typeof word === 'string'),
};

/** @throws ShapeError unless every size of a shape is a whole number from 1 on. */
export function checkSizes(who: string, shape: AttentionShape): void {
  const { B, H, G, L, S, D, E } = Object(shape) as AttentionShape;
  const sizes = Object.entries({ B, H, G, L, S, D, E });
  if (sizes.every(([, size]) => Number.isInteger(size) && size > 0 && size < 2 ** 31)) return;
  const got = sizes.map(([name, size]) => `${name}=${describe(size)}`).join(', ');
  throw new ShapeError(`${who}: the shape must be { B, H, G, L, S, D, E }, whole numbers from 1 on; got ${got}.`);
}

/** What a value of an option must be. */
export function requirementOf(spec: OptionSpec): Requirement {
  switch (spec.type) {
    case 'integer':
      return wholeIn(spec);
    case 'number':
      return numberIn(spec);
    case 'boolean':
      return aFlag;
    case 'choice':
      return oneOf(spec.choices);
    case 'integers':
      return listOf(`whole numbers ${wholeIn(spec).must.replace('a whole number ', '')}`, wholeIn(spec));
    default:
      return spec satisfies never;
  }
}

type Limits = { readonly min: number; readonly max?: number };
const wholeIn = ({ min, max }: Limits): Requirement => (max === undefined ? wholeFrom(min) : wholeBetween(min, max));
const numberIn = ({ min, max }: Limits): Requirement => (max === undefined ? atLeast(min) : between(min, max));

/** The default of an option for a shape. */
function defaultOf(spec: OptionSpec, shape: AttentionShape): unknown {
  return typeof spec.default === 'function' ? spec.default(shape) : spec.default;
}

/** All options for a shape, and a sentence for each given one that is refused. */
export function resolveOptions<O extends OptionSpecs>(
  specs: O,
  given: Readonly<Record<string, unknown>>,
  shape: AttentionShape,
): { readonly values: OptionValues<O>; readonly refused: readonly string[] } {
  const values = Object.entries(specs).map(([name, spec]) => [
    name,
    given[name] === undefined ? defaultOf(spec, shape) : given[name],
  ]);
  const requirements = Object.fromEntries(Object.entries(specs).map(([name, spec]) => [name, requirementOf(spec)]));
  const whole = Object.fromEntries(values) as OptionValues<O>;
  return { values: whole, refused: reasonsAgainst({ ...given, ...whole }, requirements, Object.keys(specs)) };
}

/** The value that a text on the command line means; undefined when it means none. */
export function parseOption(spec: OptionSpec, text: string): unknown {
  switch (spec.type) {
    case 'integer':
    case 'number':
      return numberOf(text);
    case 'boolean':
      return text === 'true' ? true : text === 'false' ? false : undefined;
    case 'choice':
      return text;
    case 'integers':
      return text === 'none' ? [] : numbersIn(text.split('+'));
    default:
      return spec satisfies never;
  }
}

const numberOf = (text: string): number | undefined =>
  text.trim() === '' || Number.isNaN(Number(text)) ? undefined : Number(text);

function numbersIn(parts: readonly string[]): readonly number[] | undefined {
  const numbers = parts.map(numberOf);
  return numbers.every((x) => x !== undefined) ? numbers : undefined;
}
