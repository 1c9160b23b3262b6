import { nearest, OptionError } from './errors.js';

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
export const flag: Requirement = { must: 'true or false', holds: (value) => typeof value === 'boolean' };
export const callable: Requirement = { must: 'a function', holds: (value) => typeof value === 'function' };

/** A sentence for each option that is unknown, missing, or not what it must be; undefined stands for one not given. */
export function reasonsAgainst(
  options: object,
  requirements: Requirements,
  required: readonly string[] = [],
): readonly string[] {
  const known = Object.keys(requirements);
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  const missing = required.filter((name) => !given.some(([key]) => key === name));
  return [
    ...given.flatMap(([name, value]) => {
      const requirement = Object.hasOwn(requirements, name) ? requirements[name] : undefined;
      if (requirement === undefined) return unknown(name, known);
      return requirement.holds(value) ? [] : `${name} must be ${requirement.must}; got ${String(value)}`;
    }),
    ...missing.map((name) => `${name} is missing; it must be ${requirements[name]!.must}`),
  ];
}

function unknown(name: string, known: readonly string[]): string {
  const guess = nearest(name, known);
  return `unknown option ${name}${guess === undefined ? '' : ` (did you mean ${guess}?)`}; known are ${known.join(', ')}`;
}

/** @throws OptionError with all reasons, if there are any. */
export function refuse(who: string, reasons: readonly string[]): void {
  if (reasons.length > 0) throw new OptionError(`${who}: ${reasons.join('; ')}.`);
}
