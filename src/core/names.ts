import { describe } from './describe.js';

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

/** ` (did you mean "radius"?)`; nothing where no known word is near. */
export function didYouMean(word: unknown, known: readonly string[]): string {
  const guess = nearest(word, known);
  return guess === undefined ? '' : ` (did you mean ${describe(guess)}?)`;
}

/** Names that fit behind an error whatever else it says. */
const FEW = 12;

/**
 * Why names are refused: `unknown option "raduis" (did you mean "radius"?); known are radius, dilation`. Where there are many, they
 * are listed only if none is near. `remedy` replaces the list.
 */
export function unknown(
  what: string,
  names: readonly unknown[],
  known: readonly string[],
  remedy = known.length === 0 ? 'there are none' : `known are ${known.join(', ')}`,
): string {
  const hints = names.map((name) => didYouMean(name, known));
  const enough = known.length > FEW && !hints.includes('');
  return `unknown ${what} ${names.map((name, i) => describe(name) + hints[i]!).join(', ')}${enough ? '' : `; ${remedy}`}`;
}
