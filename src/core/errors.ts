import { describe, isPlainObject } from './describe.js';

/** Shapes, ranks or lengths that do not fit together. */
export class ShapeError extends Error {
  override readonly name = 'ShapeError';
}
/** An option, flag or argument outside what is defined. */
export class OptionError extends Error {
  override readonly name = 'OptionError';
}
/** Something this mechanism or device does not do. */
export class CapabilityError extends Error {
  override readonly name = 'CapabilityError';
}
export class OutOfMemoryError extends Error {
  override readonly name = 'OutOfMemoryError';
}
/** A number that must be finite is not, or a check of numbers failed. */
export class NumericsError extends Error {
  override readonly name = 'NumericsError';
}
/** A compiler, worker or device that failed. */
export class DeviceError extends Error {
  override readonly name = 'DeviceError';
}
/** A file that is missing, unreadable or not in the expected format. */
export class FormatError extends Error {
  override readonly name = 'FormatError';
}

/** The entry of `known` nearest to `word` in edits, if near enough to be a slip of the keyboard. */
export function nearest(word: unknown, known: readonly string[]): string | undefined {
  if (typeof word !== 'string') return undefined;
  let best: string | undefined;
  let bestDistance = Math.max(2, Math.floor(word.length / 3)) + 1;
  for (const candidate of known) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, substitution));
    }
    row = next;
  }
  return row[b.length]!;
}

/**
 * Throws an OptionError for options that are no plain object, and for every key that is not in `known`, with the nearest known
 * name: `softmax(x, -1)` and `attend(q, k, v, causal())` are mistakes, not calls without options.
 */
export function checkOptions(who: string, options: unknown, known: readonly string[]): void {
  if (!isPlainObject(options)) throw new OptionError(`${who}: ${notOptions(options, known)}.`);
  let unknown: string[] | undefined;
  for (const key of Object.keys(options)) if (!known.includes(key)) (unknown ??= []).push(key);
  if (unknown === undefined) return;
  const hints = unknown.map((key) => {
    const guess = nearest(key, known);
    return guess ? `"${key}" (did you mean "${guess}"?)` : `"${key}"`;
  });
  throw new OptionError(`${who}: unknown option ${hints.join(', ')}; known options: ${known.join(', ')}.`);
}

/** Why a value is refused where an object of options stands. */
export const notOptions = (value: unknown, known: readonly string[]): string =>
  `takes its options as an object${known.length === 0 ? '' : ` { ${known.join(', ')} }`}; got ${describe(value)}`;
