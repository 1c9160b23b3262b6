import { OptionError } from '../../core/errors.js';

/** What JSON holds without loss, but for the sign of −0. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

/** Problems listed in one error. */
const MOST_LISTED = 10;

/** @throws OptionError naming every place of `state` that JSON would drop or change. */
export function checkState(who: string, state: unknown): asserts state is Json {
  const problems: string[] = [];
  visit(state, 'state', [], problems);
  if (problems.length === 0) return;
  const more = problems.length > MOST_LISTED ? `, and ${problems.length - MOST_LISTED} more` : '';
  throw new OptionError(
    `${who}: JSON cannot hold ${problems.slice(0, MOST_LISTED).join(', ')}${more}; store arrays as tensors, and leave out the rest.`,
  );
}

function visit(value: unknown, path: string, above: readonly object[], problems: string[]): void {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return;
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) problems.push(`${path} (${value})`);
  } else if (typeof value !== 'object') {
    problems.push(`${path} (${typeof value})`);
  } else if (above.includes(value)) {
    problems.push(`${path} (it contains itself)`);
  } else if (Array.isArray(value)) {
    // not by a method, which would pass over the holes
    for (let i = 0; i < value.length; i++) visit(value[i], `${path}[${i}]`, [...above, value], problems);
  } else if ([Object.prototype, null].includes(Object.getPrototypeOf(value) as object | null)) {
    for (const [key, member] of Object.entries(value)) visit(member, `${path}.${key}`, [...above, value], problems);
  } else {
    problems.push(`${path} (${value.constructor?.name ?? 'an object of a class'})`);
  }
}
