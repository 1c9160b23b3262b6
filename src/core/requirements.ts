import { describe, isList, isPlainObject } from './describe.js';
import { nearest, notOptions, OptionError } from './errors.js';

/** What a value must be, as a phrase, and the test of it. */
export interface Requirement {
  readonly must: string;
  readonly holds: (value: unknown) => boolean;
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
export const wholeFrom = (least: number): Requirement =>
  number(`a whole number of at least ${least}`, (x) => Number.isSafeInteger(x) && x >= least);
export const wholeBetween = (least: number, most: number, shown = String(most)): Requirement =>
  number(`a whole number from ${least} to ${shown}`, (x) => Number.isSafeInteger(x) && x >= least && x <= most);
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
  must: values
    .map(describe)
    .join(', ')
    .replace(/, ([^,]*)$/, ' or $1'),
  holds: (value) => values.includes(value),
});
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

/** A sentence for each option that is unknown, missing, or not what it must be; undefined stands for one not given. */
export function reasonsAgainst(
  options: unknown,
  requirements: Requirements,
  required: readonly string[] = [],
): readonly string[] {
  if (!isPlainObject(options)) return [notOptions(options, Object.keys(requirements))];
  const reasons: string[] = [];
  for (const name of Object.keys(options)) {
    const value = options[name];
    if (value === undefined) continue;
    const requirement = Object.hasOwn(requirements, name) ? requirements[name] : undefined;
    if (requirement === undefined) reasons.push(unknown(name, Object.keys(requirements)));
    else if (!requirement.holds(value)) reasons.push(`${name} must be ${requirement.must}; got ${describe(value)}`);
  }
  for (const name of required) {
    if (options[name] === undefined) reasons.push(`${name} is missing; it must be ${requirements[name]!.must}`);
  }
  return reasons;
}

function unknown(name: string, known: readonly string[]): string {
  const guess = nearest(name, known);
  return `unknown option ${name}${guess === undefined ? '' : ` (did you mean ${guess}?)`}; known are ${known.join(', ')}`;
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
export function checkValue(who: string, name: string, value: unknown, { must, holds }: Requirement): void {
  if (!holds(value)) throw new OptionError(`${who}: ${name} must be ${must}; got ${describe(value)}.`);
}
