import { describe, isList } from '../core/describe.js';
import { OptionError } from '../core/errors.js';

/** `value` as an integer of at least `least`, or one OptionError sentence. */
export function integer(who: string, name: string, value: unknown, least: number): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= least && value < 2 ** 31) return value;
  throw new OptionError(`${who}: ${name} must be an integer ≥ ${least}; got ${describe(value)}.`);
}

/** Refuses option sets that do not name exactly one of the alternatives. */
export function alternatives(who: string, options: object, sets: readonly (readonly string[])[]): readonly string[] {
  const given = Object.keys(options).filter((name) => (options as Record<string, unknown>)[name] !== undefined);
  const found = sets.find((set) => set.length === given.length && set.every((name) => given.includes(name)));
  if (found !== undefined) return found;
  const wanted = sets.map((set) => `{ ${set.join(', ')} }`).join(' or ');
  throw new OptionError(`${who}: takes ${wanted}; got { ${given.join(', ')} }.`);
}

export function oneOf<T extends string>(who: string, name: string, value: unknown, known: readonly T[]): T {
  if (known.includes(value as T)) return value as T;
  throw new OptionError(
    `${who}: ${name} must be ${known.map((word) => `"${word}"`).join(', ')}; got ${describe(value)}.`,
  );
}

/** A list of integers as i32, copied. */
export function integers(who: string, name: string, values: ArrayLike<number>, least = -(2 ** 31)): Int32Array {
  if (!isList(values)) throw new OptionError(`${who}: ${name} must be a list of integers; got ${describe(values)}.`);
  if (values.length === 0) throw new OptionError(`${who}: ${name} must not be empty.`);
  const list = new Int32Array(values.length);
  for (let i = 0; i < list.length; i++) {
    const value = values[i]!;
    // the plain check first: lists are long
    if (typeof value === 'number') list[i] = value;
    if (list[i] !== value || value < least) integer(who, `${name}[${i}]`, value, least);
  }
  return list;
}
