import { describe, isList } from '../core/describe.js';
import { OptionError } from '../core/errors.js';
import { checkValue, int32From } from '../core/requirements.js';

/** Refuses option sets that do not name exactly one of the alternatives. */
export function alternatives(who: string, options: object, sets: readonly (readonly string[])[]): readonly string[] {
  const given = Object.keys(options).filter((name) => (options as Record<string, unknown>)[name] !== undefined);
  const found = sets.find((set) => set.length === given.length && set.every((name) => given.includes(name)));
  if (found !== undefined) return found;
  const wanted = sets.map((set) => `{ ${set.join(', ')} }`).join(' or ');
  throw new OptionError(`${who}: takes ${wanted}; got { ${given.join(', ')} }.`);
}

/** A list of whole numbers as i32, copied. */
export function integers(who: string, name: string, values: ArrayLike<number>, least = -(2 ** 31)): Int32Array {
  if (!isList(values))
    throw new OptionError(`${who}: ${name} must be a list of whole numbers; got ${describe(values)}.`);
  if (values.length === 0) throw new OptionError(`${who}: ${name} must not be empty.`);
  const entry = int32From(least);
  const list = new Int32Array(values.length);
  for (let i = 0; i < list.length; i++) {
    const value = values[i]!;
    // the plain check first: lists are long
    if (typeof value === 'number') list[i] = value;
    if (list[i] !== value || value < least) checkValue(who, `${name}[${i}]`, value, entry);
  }
  return list;
}
