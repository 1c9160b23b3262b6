import type { Comparison, CompareRow } from '../studies/compare.js';
import * as format from './format.js';

type Measured = Pick<Comparison, 'rows' | 'lengths' | 'crossovers'>;

/** What was seen beside the choice, in plain sentences. */
export function findings({ rows, lengths, crossovers }: Measured): string[] {
  const timed = (mechanism: string, length: number): CompareRow | undefined =>
    rows.find((row) => row.mechanism === mechanism && row.length === length && row.milliseconds !== null);
  const out: string[] = [];
  const shared = [...lengths].reverse().find((n) => timed('standard', n) && timed('flash', n));
  if (shared !== undefined) out.push(flashSentence(timed('standard', shared)!, timed('flash', shared)!));
  const longest = lengths.at(-1)!;
  const stopped = rows.find(({ mechanism, length }) => mechanism === 'standard' && length === longest)?.skipped ?? null;
  if (stopped !== null) out.push(`At ${format.integer(longest)} positions standard attention was not run: ${stopped}.`);
  if (crossovers.length > 0) out.push(...crossoverSentences(crossovers));
  return out;
}

function flashSentence(standard: CompareRow, flash: CompareRow): string {
  const { overStandard, length } = flash;
  const speed =
    overStandard! >= 1.05
      ? `is ${format.times(overStandard!)} as fast as`
      : overStandard! > 0.95
        ? 'is as fast as'
        : 'takes longer than';
  return (
    `At ${format.integer(length)} positions flash ${speed} standard attention, with ` +
    `${format.bytes(flash.workspaceBytes!)} of workspace instead of ${format.bytes(standard.workspaceBytes!)}.`
  );
}

function crossoverSentences(all: Comparison['crossovers']): string[] {
  const always = all.filter(({ atMost }) => atMost);
  const later = all.filter(({ length, atMost }) => length !== null && !atMost).sort((a, b) => a.length! - b.length!);
  const out: string[] = [];
  if (always.length > 0) {
    const names = always.map(({ name }) => name).join(', ');
    out.push(`Faster than flash at ${format.integer(always[0]!.length!)} positions already: ${names}.`);
  }
  if (later.length > 0) {
    const names = later.map((one) => `${one.name} from ${crossover(one)}`).join(', ');
    out.push(`Faster than flash on longer inputs: ${names}.`);
  }
  return out;
}

/** The length from which a mechanism is faster than flash, `≤` where it is so at every length; a dash where it is not. */
export function crossover({ length, atMost }: Comparison['crossovers'][number]): string {
  if (length === null) return '–';
  // an interpolated length is not known to the position
  return atMost ? `≤ ${format.integer(length)}` : format.integer(Number(length.toPrecision(2)));
}

/** Which lengths were left out, and why. */
export const omissions = ({ omitted }: Pick<Comparison, 'omitted'>): string[] =>
  omitted.map(({ length, why }) => `n = ${format.integer(length)} was not run: ${why}.`);

/** The fastest first; those that were not run last. */
export const bySpeed = (rows: readonly CompareRow[]): CompareRow[] =>
  [...rows].sort((a, b) => (a.milliseconds ?? Number.MAX_VALUE) - (b.milliseconds ?? Number.MAX_VALUE));

/** Rows that have a value, the smallest first. */
export function bySize(rows: readonly CompareRow[], value: (row: CompareRow) => number | undefined): CompareRow[] {
  const has = rows.filter((row) => value(row) !== undefined);
  return has.sort((a, b) => value(a)! - value(b)!);
}

/**
 * The error of what approximates attention; of a mixer, which computes something else on another scale, there is none, nor beyond the length
 * of the model behind the features.
 */
export const likeness = (
  { level, error, length }: CompareRow,
  { trainedTo }: Pick<Comparison, 'trainedTo'>,
): CompareRow['error'] => (level === 'mixer' || length > (trainedTo ?? Infinity) ? null : error);

/** What marks a length that the model behind the features was not trained at. */
export const beyond = (length: number, { trainedTo }: Pick<Comparison, 'trainedTo'>): string =>
  length > (trainedTo ?? Infinity) ? `, beyond the ${format.integer(trainedTo!)} of the model: no errors` : '';

/** What a row must not keep to itself. */
export function remark(row: CompareRow, causal: boolean): string {
  if (row.skipped !== null) return `not run: ${row.skipped}`;
  return [
    row.causal && !causal && 'of causal',
    row.exactness === 'learned' && 'untrained',
    row.level === 'mixer' && 'no attention',
    ...row.notes,
  ]
    .filter((part) => part !== false)
    .join(', ');
}

/** Multiply-adds that were foreseen: by the formula of the forward pass, in training by the rehearsal. */
export const foreseen = ({ predicted }: CompareRow, training: boolean): number | null =>
  predicted === null ? null : training ? predicted.multiplyAdds : predicted.formulaMultiplyAdds;
