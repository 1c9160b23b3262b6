import { describe, isList, isPlainObject } from './describe.js';
import { OptionError } from './errors.js';
import { didYouMean, unknown } from './names.js';

/** What a value must be, as a phrase, and the test of it. */
export interface Requirement {
  readonly must: string;
  readonly holds: (value: unknown) => boolean;
  /** The words that it takes: an error names the nearest. */
  readonly words?: readonly string[];
}
export type Requirements = Readonly<Record<string, Requirement>>;

const number = (must: string, holds: (x: number) => boolean): Requirement => ({
  must,
  holds: (value) => typeof value === 'number' && Number.isFinite(value) && holds(value),
});

export const fraction = number('a number from 0 to below 1', (x) => x >= 0 && x < 1);
export const notNegative = number('a number of at least 0', (x) => x >= 0);
export const positive = number('a number above 0', (x) => x > 0);
export const atLeast = (least: number): Requirement => number(`a number of at least ${least}`, (x) => x >= least);
export const between = (least: number, most: number): Requirement =>
  number(`a number from ${least} to ${most}`, (x) => x >= least && x <= most);
export const wholeFrom = (least: number): Requirement =>
  number(`a whole number of at least ${least}`, (x) => Number.isSafeInteger(x) && x >= least);
export const wholeBetween = (least: number, most: number, shown = String(most)): Requirement =>
  number(`a whole number from ${least} to ${shown}`, (x) => Number.isSafeInteger(x) && x >= least && x <= most);
/** What an i32 holds. */
export const int32From = (least: number): Requirement => wholeBetween(least, 2 ** 31 - 1, '2^31 - 1');
/** NaN and infinities too. */
export const someNumber: Requirement = { must: 'a number', holds: (value) => typeof value === 'number' };
export const finite = number('a finite number', () => true);
export const wholeNumber = number('a whole number', Number.isSafeInteger);
export const flag: Requirement = { must: 'true or false', holds: (value) => typeof value === 'boolean' };
export const callable: Requirement = { must: 'a function', holds: (value) => typeof value === 'function' };
export const text: Requirement = { must: 'a text', holds: (value) => typeof value === 'string' };
export const listOf = (must: string, { holds }: Requirement): Requirement => ({
  must: `a list of ${must}`,
  holds: (value) => Array.isArray(value) && value.every(holds),
});
export const listOfTexts = listOf('texts', text);
export const listOfNumbers: Requirement = {
  must: 'a list of numbers',
  // typed arrays hold nothing else
  holds: (value) =>
    isList(value) && (ArrayBuffer.isView(value) || Array.from(value).every((x) => typeof x === 'number')),
};
/** What has a length; its entries are looked at where they are used. */
export const list: Requirement = { must: 'a list', holds: isList };
export const oneOf = (values: readonly unknown[]): Requirement => ({
  must: alternatives(values.map(describe)),
  holds: (value) => values.includes(value),
  words: values.filter((value) => typeof value === 'string'),
});
/** `a, b or c` */
export const alternatives = (words: readonly string[]): string =>
  words.length < 2 ? words.join() : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;
export const wholeNumbers: Requirement = {
  must: 'a whole number or a list of them',
  holds: (value) => wholeNumber.holds(value) || (isList(value) && Array.from(value).every(Number.isSafeInteger)),
};
/** What holds options or the like, each looked at where it is used. */
export const plainObject: Requirement = { must: 'an object', holds: isPlainObject };
/** What a class of this library made; `must` says of which and by what. */
export const made = (must: string, by: abstract new (...args: never) => object): Requirement => ({
  must,
  holds: (value) => value instanceof by,
});
/** What anybody may write, as long as it can be asked for these: a tokeniser, a file system. */
export const having = (must: string, ...methods: readonly string[]): Requirement => ({
  must: `${must}, with ${methods.join(', ')}`,
  holds: (value) =>
    methods.every((name) => typeof (Object(value) as Readonly<Record<string, unknown>>)[name] === 'function'),
});
/** What is looked at where it is used. */
export const anything: Requirement = { must: 'anything', holds: () => true };

/** Why a value is refused; undefined if it is not. `name` is its place. */
export function reasonAgainst(name: string, value: unknown, { must, holds, words }: Requirement): string | undefined {
  if (holds(value)) return undefined;
  return `${name} must be ${must}; got ${describe(value)}${words === undefined ? '' : didYouMean(value, words)}`;
}

/**
 * A reason for each option that is missing or not what it must be, and one for those that are unknown; undefined stands for one not
 * given. `at` is the place of the options in others.
 */
export function reasonsAgainst(
  options: unknown,
  requirements: Requirements,
  required: readonly string[] = [],
  at?: string,
): readonly string[] {
  const known = Object.keys(requirements);
  if (!isPlainObject(options)) return [notOptions(options, known, at)];
  const inside = (name: string): string => (at === undefined ? name : `${at}.${name}`);
  const reasons: string[] = [];
  let strange: string[] | undefined;
  for (const name of Object.keys(options)) {
    if (options[name] === undefined) continue;
    if (!Object.hasOwn(requirements, name)) {
      (strange ??= []).push(name);
      continue;
    }
    const reason = reasonAgainst(inside(name), options[name], requirements[name]!);
    if (reason !== undefined) reasons.push(reason);
  }
  if (strange !== undefined) reasons.push(unknown('option', strange.map(inside), known.map(inside)));
  for (const name of required) {
    if (options[name] === undefined) reasons.push(`${inside(name)} is missing; it must be ${requirements[name]!.must}`);
  }
  return reasons;
}

/** Why a value is refused where an object of options stands: `softmax(x, -1)` and `attend(q, k, v, causal())` are mistakes. */
export function notOptions(value: unknown, known: readonly string[], at?: string): string {
  const names = known.length === 0 ? '' : ` { ${known.join(', ')} }`;
  return `${at === undefined ? 'takes its options as' : `${at} must be`} an object${names}; got ${describe(value)}`;
}

/** @throws OptionError with all reasons, if there are any. */
export function refuse(who: string, reasons: readonly string[]): void {
  if (reasons.length > 0) throw new OptionError(`${who}: ${reasons.join('; ')}.`);
}

/** @throws OptionError for options that are no object, unknown, missing, or not what they must be. */
export const checkValues = (
  who: string,
  options: unknown,
  requirements: Requirements,
  required?: readonly string[],
): void => refuse(who, reasonsAgainst(options, requirements, required));

/** One value in a place of its own. @throws OptionError unless it is what it must be. */
export function checkValue(who: string, name: string, value: unknown, requirement: Requirement): void {
  const reason = reasonAgainst(name, value, requirement);
  if (reason !== undefined) throw new OptionError(`${who}: ${reason}.`);
}
